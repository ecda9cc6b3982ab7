"""Queries over HTTP: the list and its pages, one alarm, its events, the log, health."""

from typing import Any

import httpx
import pytest

from tests.kit.http import HttpStage, post, problem, raised


async def listed(http: httpx.AsyncClient, **query: Any) -> dict[str, Any]:
    answer = await http.get("/v1/alarms", params=query)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def sources(body: dict[str, Any]) -> list[str]:
    return [alarm["source"] for alarm in body["alarms"]]


async def test_the_list_says_how_far_it_is(http: httpx.AsyncClient, stage: HttpStage) -> None:
    assert await listed(http) == {"alarms": [], "next": None, "position": 0}
    alarm = await raised(http)
    await stage.project()
    assert await listed(http) == {"alarms": [alarm], "next": None, "position": 1}


async def test_the_list_is_filtered_as_asked(http: httpx.AsyncClient, stage: HttpStage) -> None:
    await raised(http, source="a", severity="critical")
    await raised(http, source="b", type="leak")
    gone = await raised(http, source="c")
    await post(http, f"/v1/alarms/{gone['id']}/acknowledge", revision=1)
    await http.post(f"/v1/alarms/{gone['id']}/clear")
    await stage.project()
    assert set(sources(await listed(http))) == {"a", "b"}
    assert set(sources(await listed(http, state="all"))) == {"a", "b", "c"}
    assert sources(await listed(http, state="normal")) == ["c"]
    assert sources(await listed(http, severity="critical,warning")) == ["a"]
    assert sources(await listed(http, source="b")) == ["b"]
    assert sources(await listed(http, type="leak")) == ["b"]


async def test_pages_bring_every_alarm_once(http: httpx.AsyncClient, stage: HttpStage) -> None:
    for number in range(25):
        await raised(http, source=f"s-{number}")
    await stage.project()
    seen: list[str] = []
    query: dict[str, Any] = {"limit": 7}
    while True:
        body = await listed(http, **query)
        seen += sources(body)
        if body["next"] is None:
            break
        query["cursor"] = body["next"]
    assert sorted(seen) == sorted(f"s-{number}" for number in range(25))


@pytest.mark.parametrize("cursor", ["x", "e30", "WzEsMl0", "%00", "🦊", "a" * 500])
async def test_a_bad_cursor_is_refused(http: httpx.AsyncClient, cursor: str) -> None:
    assert problem(await http.get("/v1/alarms", params={"cursor": cursor})) == (422, "bad_cursor")


BAD_QUERIES = ["state=open", "severity=fatal", "limit=0", "limit=1001", "limit=x", "limit=-1", "colour=red"]


@pytest.mark.parametrize("query", [*BAD_QUERIES, "min_position=x", "min_position=99999999999999999999"])
async def test_a_bad_query_is_refused(http: httpx.AsyncClient, query: str) -> None:
    assert problem(await http.get(f"/v1/alarms?{query}")) == (422, "invalid")


async def test_min_position_waits_until_the_list_has_come_that_far(
    http: httpx.AsyncClient, stage: HttpStage
) -> None:
    await raised(http)
    refused = await http.get("/v1/alarms", params={"min_position": 1})
    assert problem(refused) == (503, "not_projected_yet")
    assert "retry-after" in refused.headers
    await stage.project()
    assert (await listed(http, min_position=1))["position"] == 1
    assert problem(await http.get("/v1/alarms", params={"min_position": 2})) == (422, "position_ahead")


async def test_one_alarm_and_its_events_are_read(http: httpx.AsyncClient) -> None:
    alarm = await raised(http)
    await post(http, f"/v1/alarms/{alarm['id']}/acknowledge", revision=1)
    found = await http.get(f"/v1/alarms/{alarm['id']}")
    assert (found.json()["state"], found.headers["etag"]) == ("acked", '"2"')
    events = (await http.get(f"/v1/alarms/{alarm['id']}/events")).json()
    assert [event["type"] for event in events["events"]] == ["alarm.raised", "alarm.acknowledged"]
    rest = (await http.get(f"/v1/alarms/{alarm['id']}/events?after=1")).json()
    assert [event["revision"] for event in rest["events"]] == [2]
    assert problem(await http.get("/v1/alarms/none")) == (404, "unknown_alarm")
    assert problem(await http.get("/v1/alarms/none/events")) == (404, "unknown_alarm")


async def test_the_log_is_read_in_pages(http: httpx.AsyncClient) -> None:
    for number in range(5):
        await raised(http, source=f"s-{number}")
    first = (await http.get("/v1/events?limit=3")).json()
    assert [event["position"] for event in first["events"]] == [1, 2, 3]
    rest = (await http.get(f"/v1/events?after={first['next']}")).json()
    assert [event["position"] for event in rest["events"]] == [4, 5]
    assert (rest["next"], rest["position"]) == (5, 5)
    end = (await http.get("/v1/events?after=5")).json()
    assert end == {"events": [], "next": 5, "position": 5}
    assert problem(await http.get("/v1/events?after=6")) == (422, "position_ahead")
    assert problem(await http.get("/v1/events?log=another")) == (409, "log_changed")
    assert (await http.get("/v1/events?log=a-log")).status_code == 200


async def test_the_log_is_filtered_as_on_the_stream(http: httpx.AsyncClient) -> None:
    await raised(http, source="boiler/1", severity="critical", labels={"site": "a"})
    await raised(http, source="boiler/1", severity="warning", labels={"site": "a"})
    await raised(http, source="pump,1", severity="major", labels={"site": "b"})

    async def found(query: str) -> list[int]:
        answer = await http.get(f"/v1/events?{query}")
        assert answer.status_code == 200, answer.text
        assert answer.json()["next"] == 3
        return [event["position"] for event in answer.json()["events"]]

    assert await found("source=boiler/*") == [1, 2]
    assert await found("sources=boiler/2,boiler/1&type=overpressure,leak") == [1, 2]
    assert await found("source=pump%5C,1") == [3]
    assert await found("min_severity=major") == [1, 2, 3]
    assert await found("label.site=b") == [3]
    log = (await http.get("/v1/events?min_severity=critical")).json()
    assert [(event["position"], event.get("left")) for event in log["events"]] == [(1, None), (2, True)]
    assert await found(f"alarm_id={log['events'][0]['alarm']['id']}") == [1, 2]
    assert set(log["events"][0]) == {
        "position", "event_id", "type", "at", "occurred_at", "actor", "revision", "data", "alarm",
    }  # fmt: skip


@pytest.mark.parametrize("path", ["/v1/events", "/v1/alarms/{id}/events"])
async def test_pages_of_large_events_end_early_and_lose_nothing(
    http: httpx.AsyncClient, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("entrypoints.http.encoded_events.ANSWER_BYTES", 10_000)
    alarm = await raised(http)
    for number in range(9):
        await raised(http, text=f"{number}" + "x" * 4_000)
    seen: list[int] = []
    after = 0
    while True:
        page = (await http.get(f"{path.format(id=alarm['id'])}?after={after}&limit=1000")).json()
        if not page["events"]:
            break
        assert len(page["events"]) <= 4
        after, seen = page["next"], seen + [event["revision"] for event in page["events"]]
    assert seen == list(range(1, 11))


async def test_a_page_in_which_nothing_matches_moves_on(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("entrypoints.http.routes.events.SCAN_EVENTS", 4)
    monkeypatch.setattr("entrypoints.http.routes.events.BATCH", 2)
    for number in range(9):
        await raised(http, source=f"s-{number}")
    seen: list[dict[str, Any]] = []
    after = asked = 0
    while after < 9:
        page = (await http.get(f"/v1/events?source=s-2,s-8&limit=1&after={after}")).json()
        assert page["next"] > after
        after, seen, asked = page["next"], seen + page["events"], asked + 1
    assert [event["position"] for event in seen] == [3, 9]
    assert asked <= 4


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=1001",
        "after=-1",
        "limit=1&limit=2",
        "severity=major",
        "min_severity=bad",
        "source=*",
    ],
)
async def test_a_page_of_the_log_that_cannot_be_had_is_refused(http: httpx.AsyncClient, query: str) -> None:
    assert problem(await http.get(f"/v1/events?{query}")) == (422, "invalid")


async def test_without_event_streams_a_request_for_one_is_not_acceptable(http: httpx.AsyncClient) -> None:
    asked = await http.get("/v1/events", headers={"Accept": "text/event-stream"})
    assert problem(asked) == (406, "not_acceptable")
    refused = {"Accept": "application/json, text/event-stream;q=0"}
    assert (await http.get("/v1/events", headers=refused)).status_code == 200


async def test_a_process_that_is_not_ready_says_why(http: httpx.AsyncClient, stage: HttpStage) -> None:
    assert (await http.get("/healthz")).status_code == 200
    assert (await http.get("/readyz")).status_code == 200
    stage.reasons.append("the feed is not connected")
    answer = await http.get("/readyz")
    assert (answer.status_code, answer.json()["reasons"]) == (503, ["the feed is not connected"])


async def test_head_is_get_without_a_body(http: httpx.AsyncClient) -> None:
    answer = await http.head("/v1/alarms")
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize("method_and_path", ["GET ", "GET /events", "POST /confirm"])
async def test_what_is_too_long_to_be_an_id_is_not_looked_up(
    stage: HttpStage, monkeypatch: pytest.MonkeyPatch, method_and_path: str
) -> None:
    async def looked_up(_: str) -> None:
        raise AssertionError

    monkeypatch.setattr(stage.log, "newest", looked_up)
    method, rest = method_and_path.split(" ")
    async with stage.client() as http:
        answer = await http.request(method, f"/v1/alarms/{'a' * 37}{rest}")
    assert problem(answer) == (404, "unknown_alarm")

"""HTTP at its edges: paths and methods, bodies as they come, times, cursors, and what Alertmanager posts."""

import asyncio
import base64
import logging
from collections.abc import AsyncIterator, MutableMapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import pytest_asyncio
from starlette.applications import Starlette

from core.alarm.alarm import Identity
from core.alarm.condition import Raise
from core.alarm.context import Context
from core.alarm.events import Actor
from core.errors import OutcomeUnknown, Unavailable
from entrypoints.http.app import create_app
from entrypoints.http.ingest_counts import IngestCounts
from entrypoints.http.routes import alertmanager as ingest
from entrypoints.http.state import AppState
from tests.integration.entrypoints.http.watched import WatchedLog
from tests.kit.hosts import TickingClock
from tests.kit.http import HttpStage, problem

RAISE: dict[str, Any] = {"source": "boiler-7", "type": "overpressure", "severity": "major"}
INGEST = "/v1/ingest/alertmanager"
BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
JSON = {"content-type": "application/json"}


@pytest.fixture
def log() -> WatchedLog:
    return WatchedLog()


@pytest.fixture
def stage(log: WatchedLog) -> HttpStage:
    return HttpStage(log)


@pytest.fixture
def app(stage: HttpStage) -> Starlette:
    return create_app(AppState(services=stage.services))


@pytest_asyncio.fixture
async def http(app: Starlette) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://tocsin") as client:
        yield client


async def raised(http: httpx.AsyncClient, **changes: Any) -> dict[str, Any]:
    answer = await http.post("/v1/alarms", json=RAISE | changes)
    assert answer.is_success, answer.text
    alarm: dict[str, Any] = answer.json()["alarm"]
    return alarm


# Paths and methods.

ALLOWED = [
    ("DELETE", "/v1/alarms", "GET, HEAD, POST"),
    ("POST", "/v1/events", "GET, HEAD"),
    ("GET", "/v1/alarms/none/acknowledge", "POST"),
    ("PUT", "/healthz", "GET, HEAD"),
]


@pytest.mark.parametrize(("method", "path", "allowed"), ALLOWED)
async def test_a_request_by_another_method_is_told_all_that_there_are(
    http: httpx.AsyncClient, method: str, path: str, allowed: str
) -> None:
    answer = await http.request(method, path)
    assert answer.headers["allow"] == allowed
    assert problem(answer) == (405, "method_not_allowed")


async def test_head_of_what_cannot_be_read_is_a_problem_without_its_body(http: httpx.AsyncClient) -> None:
    answer = await http.head("/v1/clear")
    assert (answer.status_code, answer.headers["allow"], answer.content) == (405, "POST", b"")
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["/v1/alarms/", "/v1/alarms/none/explode/now", "/v1/ingest/nagios"])
async def test_other_paths_are_not_found_and_lead_nowhere(http: httpx.AsyncClient, path: str) -> None:
    assert problem(await http.get(path)) == (404, "not_found")


# Bodies.


async def test_a_body_that_is_too_large_is_not_read_to_its_end(http: httpx.AsyncClient) -> None:
    sent = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(1_000):
            sent += 1
            yield b" " * 65_536

    answer = await http.post("/v1/alarms", content=chunks(), headers=JSON)
    assert problem(answer) == (413, "body_too_large")
    assert sent == 1024 * 1024 // 65_536 + 1


async def test_a_declared_length_that_is_too_large_is_refused_without_reading(
    http: httpx.AsyncClient,
) -> None:
    read = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal read
        read += 1
        yield b"{"

    headers = JSON | {"content-length": str(1024 * 1024 + 1)}
    answer = await http.post("/v1/alarms", content=chunks(), headers=headers)
    assert problem(answer) == (413, "body_too_large")
    assert (read, answer.headers["connection"]) == (0, "close")


async def test_a_body_of_exactly_one_mebibyte_is_read(http: httpx.AsyncClient) -> None:
    body = b'{"source": "a", "type": "b", "severity": "major"}'
    padded = body + b" " * (1024 * 1024 - len(body))
    assert (await http.post("/v1/alarms", content=padded, headers=JSON)).status_code == 201


async def test_a_client_that_goes_away_within_its_body_is_no_fault_of_the_server(
    app: Starlette, caplog: pytest.LogCaptureFixture
) -> None:
    messages: list[MutableMapping[str, Any]] = [
        {"type": "http.request", "body": b'{"source"', "more_body": True},
        {"type": "http.disconnect"},
    ]
    answered: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        return messages.pop(0)

    async def send(message: MutableMapping[str, Any]) -> None:
        answered.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/alarms",
        "query_string": b"",
        "headers": [(b"content-type", b"application/json")],
    }
    await app(scope, receive, send)
    assert answered[0]["status"] == 400
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_a_chunked_body_without_a_media_type_is_not_ignored(http: httpx.AsyncClient) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b'{"seconds": 60}'

    alarm = await raised(http)
    answer = await http.post(f"/v1/alarms/{alarm['id']}/shelve", content=chunks())
    assert problem(answer) == (415, "unsupported_media_type")


async def test_a_body_nested_too_deeply_is_refused(http: httpx.AsyncClient) -> None:
    body = b'{"details": {"a": ' + b"[" * 20_000 + b"]" * 20_000 + b"}}"
    answer = await http.post("/v1/alarms", content=body, headers=JSON)
    assert problem(answer) == (422, "invalid")


NO_TRACES = [
    "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
    "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
    "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
]


@pytest.mark.parametrize("trace", NO_TRACES)
async def test_a_header_that_is_no_trace_is_left_out(
    http: httpx.AsyncClient, log: WatchedLog, trace: str
) -> None:
    await http.post("/v1/alarms", json=RAISE, headers={"traceparent": trace})
    assert [event.trace for event in (await log.read(0, 10)).events] == [None]


async def test_times_come_back_in_utc(http: httpx.AsyncClient) -> None:
    alarm = await raised(http, occurred_at="2026-01-01T02:00:00.1239+02:00")
    assert alarm["occurred_at"] == "2026-01-01T00:00:00.123000Z"
    body = {"source": "boiler-7", "type": "overpressure", "occurred_at": "2026-01-01T00:30:00-01:00"}
    cleared = (await http.post("/v1/clear", json=body)).json()
    assert cleared["alarm"]["occurred_at"] == "2026-01-01T01:30:00Z"


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
async def test_a_time_whose_year_in_utc_does_not_exist_is_refused(http: httpx.AsyncClient, time: str) -> None:
    answer = await http.post("/v1/alarms", json=RAISE | {"occurred_at": time})
    assert problem(answer) == (422, "invalid")
    assert "occurred_at" in answer.json()["detail"]


# Queries.


@pytest.mark.parametrize("query", ["q=a&q=b", "limit=1&limit=2", "cursor=a&cursor=a", "label.a=b&label.a=c"])
async def test_a_parameter_that_counts_once_is_refused_twice(http: httpx.AsyncClient, query: str) -> None:
    answer = await http.get(f"/v1/alarms?{query}")
    assert problem(answer) == (422, "invalid")
    assert query.partition("=")[0].removeprefix("label.") in answer.json()["detail"]


async def test_states_and_severities_may_be_repeated(http: httpx.AsyncClient, stage: HttpStage) -> None:
    await raised(http, source="a", severity="critical")
    await raised(http, source="b", severity="minor")
    await raised(http, source="c", severity="warning")
    await stage.project()
    answer = await http.get(
        "/v1/alarms?severity=critical&severity=minor,indeterminate&state=unacked&state=all"
    )
    assert {alarm["source"] for alarm in answer.json()["alarms"]} == {"a", "b"}


@pytest.mark.parametrize("path", ["/v1/alarms/{}", "/v1/alarms/{}/events", "/v1/events"])
async def test_unknown_parameters_are_named(http: httpx.AsyncClient, path: str) -> None:
    alarm = await raised(http)
    answer = await http.get(path.format(alarm["id"]), params={"colour": "red"})
    assert problem(answer) == (422, "invalid")
    assert "colour" in answer.json()["detail"]


FORGED = [b'["2026-01-01T00:00:00","id"]', b'["2026-01-01T00:00:00Z",1]', b'["2026-01-01T00:00:00Z"]', b"[]"]


@pytest.mark.parametrize("content", FORGED)
async def test_a_forged_cursor_is_refused(http: httpx.AsyncClient, stage: HttpStage, content: bytes) -> None:
    await raised(http)
    await stage.project()
    cursor = base64.urlsafe_b64encode(content).decode().rstrip("=")
    assert problem(await http.get("/v1/alarms", params={"cursor": cursor})) == (422, "bad_cursor")


async def test_paging_goes_on_where_it_was_whatever_is_raised_meanwhile(stage: HttpStage) -> None:
    stage.services = replace(stage.services, clock=TickingClock(BEGINNING))
    async with stage.client() as http:
        wanted = [(await raised(http, source=f"old-{number}"))["id"] for number in range(20)]
        seen: list[str] = []
        query: dict[str, Any] = {"limit": 3}
        while query.get("cursor", "") is not None:
            await stage.project()
            page = (await http.get("/v1/alarms", params=query)).json()
            seen += [alarm["id"] for alarm in page["alarms"]]
            query["cursor"] = page["next"]
            await raised(http, source=f"new-{len(seen)}")
    assert seen == wanted[::-1]


async def test_the_position_of_a_list_is_never_newer_than_its_rows(
    http: httpx.AsyncClient, stage: HttpStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await raised(http)
    await stage.project()
    page = stage.alarms.page

    async def projected_meanwhile(query: Any) -> Any:
        rows = await page(query)
        await raised(http, source="later")
        await stage.project()
        return rows

    monkeypatch.setattr(stage.alarms, "page", projected_meanwhile)
    assert (await http.get("/v1/alarms")).json()["position"] == 1


async def test_another_tenants_alarm_is_not_there(http: httpx.AsyncClient, stage: HttpStage) -> None:
    command = Raise(
        context=Context(
            event_id="e", tenant="other", actor=Actor("x", "source"), now=stage.services.clock.now()
        ),
        identity=Identity("other", "boiler-7", "overpressure"),
        severity="major",
    )
    await stage.services.handler.handle(command)
    path = f"/v1/alarms/{command.alarm_id}"
    answers = [
        await http.get(path),
        await http.get(f"{path}/events"),
        await http.post(f"{path}/acknowledge", json={"revision": 1}),
    ]
    assert {problem(answer) for answer in answers} == {(404, "unknown_alarm")}
    log = (await http.get("/v1/events")).json()
    assert log == {"events": [], "next": 1, "position": 1}


async def test_a_query_while_the_log_is_away_is_answered_503(
    http: httpx.AsyncClient, stage: HttpStage
) -> None:
    async def away(_: str) -> None:
        raise Unavailable("no primary")

    stage.log.newest = away  # type: ignore[method-assign, assignment]
    answer = await http.get("/v1/alarms/any")
    assert problem(answer) == (503, "unavailable")
    assert int(answer.headers["retry-after"]) > 0


# Alertmanager.


def alert(source: str = "db-1", status: str = "firing", **labels: str) -> dict[str, Any]:
    named = {"alertname": "DiskFull", "instance": source, "severity": "warning", **labels}
    return {
        "status": status,
        "labels": named,
        "annotations": {},
        "startsAt": "2026-01-01T10:00:00Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "fingerprint": f"{source}-{named['severity']}",
    }


async def tell(http: httpx.AsyncClient, *alerts: dict[str, Any], **more: Any) -> httpx.Response:
    return await http.post(INGEST, json={"version": "4", "receiver": "tocsin", "alerts": alerts, **more})


async def test_alerts_become_alarms_and_resolves_clear_them(
    http: httpx.AsyncClient, stage: HttpStage
) -> None:
    answer = await tell(http, alert("a"), alert("b"))
    assert (answer.status_code, answer.json()) == (200, {"alerts": 2, "refused": 0})
    await tell(http, alert("a", "resolved"), alert("b"))
    types = [(event.type, event.alarm.source) for event in (await stage.log.read(0, 10)).events]
    assert sorted(types) == [("alarm.cleared", "a"), ("alarm.raised", "a"), ("alarm.raised", "b")]


async def test_alerts_on_one_alarm_keep_their_order(http: httpx.AsyncClient, stage: HttpStage) -> None:
    await tell(http, alert(), alert(severity="critical"), alert(status="resolved"))
    [newest] = (await stage.log.read(2, 10)).events
    assert list(newest.alarm.origins) == ["db-1-critical"]


async def test_fields_newer_than_this_version_are_ignored_in_a_payload(http: httpx.AsyncClient) -> None:
    answer = await tell(http, alert() | {"newer": 1}, newer={"a": None}, groupLabels={})
    assert answer.json() == {"alerts": 1, "refused": 0}


async def test_a_resolve_of_what_was_never_raised_is_no_refusal(http: httpx.AsyncClient) -> None:
    assert (await tell(http, alert(status="resolved"))).json() == {"alerts": 1, "refused": 0}


async def test_a_refused_alert_is_counted_and_the_others_are_taken(
    http: httpx.AsyncClient, app: Starlette, stage: HttpStage, caplog: pytest.LogCaptureFixture
) -> None:
    # One origin more than an alarm can have.
    many = [alert("busy") | {"fingerprint": str(number)} for number in range(17)]
    answer = await tell(http, *many, alert("other"))
    assert answer.json() == {"alerts": 18, "refused": 1}
    assert app.state.shared.ingested == IngestCounts(alerts=18, refused=1)
    assert "too_many_origins" in caplog.text
    assert "other" in {event.alarm.source for event in (await stage.log.read(0, 50)).events}


async def test_truncated_alerts_are_logged_and_counted(
    http: httpx.AsyncClient, app: Starlette, caplog: pytest.LogCaptureFixture
) -> None:
    assert (await tell(http, alert(), truncatedAlerts=7)).status_code == 200
    assert app.state.shared.ingested == IngestCounts(alerts=1, truncated=7)
    assert "7" in caplog.text


@pytest.mark.parametrize(
    ("error", "code"),
    [(Unavailable("no primary"), "unavailable"), (OutcomeUnknown("no answer"), "outcome_unknown")],
)
async def test_an_alert_that_a_retry_helps_is_answered_503_and_the_others_are_committed(
    http: httpx.AsyncClient, log: WatchedLog, error: Exception, code: str
) -> None:
    log.errors["bad"] = error
    answer = await tell(http, alert("bad"), *(alert(f"good-{number}") for number in range(300)))
    assert problem(answer) == (503, code)
    assert int(answer.headers["retry-after"]) > 0
    assert len((await log.read(0, 1_000)).events) == 300
    log.errors.clear()
    again = await tell(http, alert("bad"), *(alert(f"good-{number}") for number in range(300)))
    assert again.json() == {"alerts": 301, "refused": 0}
    assert len((await log.read(0, 1_000)).events) == 301


async def test_a_store_that_is_away_is_not_asked_for_every_alert(
    stage: HttpStage,
) -> None:
    asked = 0

    class Away:
        async def handle(self, _: object) -> None:
            nonlocal asked
            asked += 1
            await asyncio.sleep(0)
            raise Unavailable("no primary")

    stage.services = replace(stage.services, handler=Away())  # type: ignore[arg-type]
    async with stage.client() as client:
        answer = await tell(client, *(alert(f"s-{number}") for number in range(1_000)))
    assert problem(answer) == (503, "unavailable")
    assert asked == ingest.ALARMS_AT_ONCE


async def test_the_alarms_of_a_payload_go_side_by_side_and_not_all_at_once(
    http: httpx.AsyncClient, log: WatchedLog
) -> None:
    await tell(http, *(alert(f"s-{number}") for number in range(1_000)))
    assert 1 < log.most <= ingest.ALARMS_AT_ONCE


async def test_a_large_payload_is_taken(http: httpx.AsyncClient) -> None:
    padded = alert() | {"annotations": {"description": "x" * 2_000_000}}
    assert (await tell(http, padded)).json() == {"alerts": 1, "refused": 0}


async def test_a_payload_beyond_all_bounds_is_answered_so_that_it_is_sent_again(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest, "INGEST_BYTES", 1_000)
    answer = await tell(http, *(alert(f"s-{number}") for number in range(100)))
    assert problem(answer) == (503, "payload_too_large")
    assert "retry-after" in answer.headers


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"{", (400, "malformed_json")),
        (b"[]", (422, "invalid")),
        (b'{"version": "4"}', (422, "invalid")),
        (b'{"alerts": [{"status": "wobbling", "labels": {}}]}', (422, "invalid")),
    ],
)
async def test_a_body_that_is_no_payload_is_refused(
    http: httpx.AsyncClient, body: bytes, expected: tuple[int, str]
) -> None:
    assert problem(await http.post(INGEST, content=body, headers=JSON)) == expected

"""The alarm list over HTTP: filters, sorts, cursors, the past, and its export."""

import base64
import csv
import io
import json
from datetime import timedelta
from typing import Any, get_args

import httpx
import pytest

from core.alarm.alarm import Alarm
from core.errors import TooBroad
from core.lists.query import Sort
from entrypoints.http.export import COLUMNS
from tests.kit.http import HttpStage, post, problem, raised


async def listed(http: httpx.AsyncClient, query: str = "") -> list[str]:
    answer = await http.get(f"/v1/alarms?{query}")
    assert answer.status_code == 200, answer.text
    return [alarm["source"] for alarm in answer.json()["alarms"]]


async def plant(http: httpx.AsyncClient, stage: HttpStage) -> None:
    await raised(http, source="a/1", severity="minor", type="leak", text="Oil, 3 l", labels={"site": "north"})
    await raised(
        http, source="a/2", severity="critical", type="overheat", labels={"site": "north", "a.b": "c=d"}
    )
    await raised(
        http, source="b,c", severity="major", type="leak", text="(a+)+$ Ölstand", labels={"site": "south"}
    )
    acked = await raised(http, source="a", severity="critical", type="stall")
    await post(http, f"/v1/alarms/{acked['id']}/acknowledge", revision=1)
    await post(http, f"/v1/alarms/{acked['id']}/assign", assignee="Ann")
    await stage.project()


@pytest.mark.parametrize(
    ("query", "sources"),
    [
        ("", ["a/2", "b,c", "a/1", "a"]),
        ("source=a/1,a", ["a/1", "a"]),
        ("source=a/1&source=a/2", ["a/2", "a/1"]),
        ("source=a/*", ["a/2", "a/1"]),
        ("source=a,a/*", ["a/2", "a/1", "a"]),
        ("source=b%5C,c", ["b,c"]),
        ("source=", ["a/2", "b,c", "a/1", "a"]),
        ("type=leak", ["b,c", "a/1"]),
        ("type=leak,stall&severity=critical,minor", ["a/1", "a"]),
        ("label.site=north", ["a/2", "a/1"]),
        ("label.site=north&label.a.b=c=d", ["a/2"]),
        ("label.site=", []),
        ("q=öl", ["b,c"]),
        ("q=OIL+LEAK", ["a/1"]),
        ("q=leak", ["b,c", "a/1"]),
        ("q=ann", ["a"]),
        ("q=.*", []),
        ("q=(a%2B)%2B$", ["a/2", "b,c", "a/1", "a"]),
        ("q=", ["a/2", "b,c", "a/1", "a"]),
        ("assignee=Ann", ["a"]),
        ("acked=false", ["a/2", "b,c", "a/1"]),
        ("active=true&acked=true", ["a"]),
        ("active=false", []),
        ("sort=-raised_at", ["a", "b,c", "a/2", "a/1"]),
        ("sort=source", ["a", "a/1", "a/2", "b,c"]),
        ("sort=-severity&state=unacked", ["a/2", "b,c", "a/1"]),
        ("state=all&severity=critical&sort=updated_at", ["a/2", "a"]),
        ("state=normal", []),
    ],
)
async def test_a_list_is_filtered_and_sorted_as_asked(
    http: httpx.AsyncClient, stage: HttpStage, query: str, sources: list[str]
) -> None:
    await plant(http, stage)
    assert await listed(http, query) == sources


@pytest.mark.parametrize("sort", get_args(Sort))
async def test_every_sort_can_be_read_page_by_page(
    http: httpx.AsyncClient, stage: HttpStage, sort: str
) -> None:
    await plant(http, stage)
    seen, query = [], f"sort={sort}&limit=1"
    while True:
        body = (await http.get(f"/v1/alarms?{query}")).json()
        seen += [alarm["source"] for alarm in body["alarms"]]
        if body["next"] is None:
            break
        query = f"sort={sort}&limit=1&cursor={body['next']}"
    assert seen == await listed(http, f"sort={sort}")
    assert len(seen) == 4


BAD = [
    "sort=colour",
    "sort=--state",
    "active=maybe",
    "as_of=yesterday",
    "as_of=2026-01-01T00:00:00",
    "as_of=-1",
]
WORSE = ["label.a%00b=c", "source=*", "q=" + "x" * 300, "label=x", "as_of=1&min_position=1"]
LONG = ["source=" + "x" * 600, "type=" + ",".join(map(str, range(200)))]


@pytest.mark.parametrize("query", [*BAD, *WORSE, *LONG, "as_of=9999-12-31T23:59:59-23:00", "limit=1.5"])
async def test_a_query_that_makes_no_sense_is_refused(
    http: httpx.AsyncClient, stage: HttpStage, query: str
) -> None:
    await plant(http, stage)
    assert problem(await http.get(f"/v1/alarms?{query}")) == (422, "invalid")


async def test_a_cursor_belongs_to_its_list(http: httpx.AsyncClient, stage: HttpStage) -> None:
    await plant(http, stage)
    cursor = (await http.get("/v1/alarms?limit=1&severity=critical,minor")).json()["next"]
    same = f"severity=minor&severity=critical&limit=7&cursor={cursor}"
    assert await listed(http, same) == ["a/1", "a"]
    for other in (
        "",
        "severity=critical",
        "severity=critical,minor&sort=source",
        "severity=critical,minor&as_of=2",
    ):
        assert problem(await http.get(f"/v1/alarms?{other}&cursor={cursor}")) == (422, "bad_cursor")


async def test_a_cursor_of_right_digest_and_wrong_place_is_refused(
    http: httpx.AsyncClient, stage: HttpStage
) -> None:
    await plant(http, stage)
    cursor = (await http.get("/v1/alarms?limit=1")).json()["next"]
    digest = json.loads(base64.urlsafe_b64decode(cursor + "=="))[0]
    for place in (
        [],
        [0, 0, 0],
        [0, 0, 0, 0],
        [9, 0, 0, "x"],
        [0, 0, 1, "x"],
        [0, 0, -(2**70), "x"],
        [{}, 0, 0, "x"],
    ):
        forged = base64.urlsafe_b64encode(json.dumps([digest, place, None]).encode()).decode().rstrip("=")
        assert problem(await http.get(f"/v1/alarms?cursor={forged}")) == (422, "bad_cursor")


async def test_the_list_is_read_as_it_stood_at_a_position(http: httpx.AsyncClient, stage: HttpStage) -> None:
    await plant(http, stage)
    states = {}
    for position in range(7):
        body = (await http.get(f"/v1/alarms?as_of={position}&sort=source")).json()
        assert body["position"] == position
        states[position] = {alarm["source"]: alarm["state"] for alarm in body["alarms"]}
    assert states[0] == {}
    assert states[2] == {"a/1": "unacked", "a/2": "unacked"}
    assert (states[4]["a"], states[5]["a"]) == ("unacked", "acked")
    assert problem(await http.get("/v1/alarms?as_of=7")) == (422, "position_ahead")
    assert problem(await http.get("/v1/alarms?as_of=7&limit=x")) == (422, "invalid")


async def test_a_time_stands_for_the_newest_position_by_then(
    http: httpx.AsyncClient, stage: HttpStage
) -> None:
    await raised(http, source="a")
    at = (await stage.log.tail()).at
    assert at is not None
    await raised(http, source="b")
    for moment, sources in (
        (at, ["a"]),
        (at - timedelta(seconds=1), []),
        (at + timedelta(days=1), ["a", "b"]),
    ):
        text = moment.isoformat().replace("+00:00", "Z")
        assert await listed(http, f"as_of={text}&sort=source") == sources
    east = (at + timedelta(hours=2)).isoformat().replace("+00:00", "%2B02:00")
    assert await listed(http, f"as_of={east}") == ["a"]


async def test_a_cursor_keeps_the_moment_of_its_list(http: httpx.AsyncClient) -> None:
    for number in range(3):
        await raised(http, source=str(number))
    query = "as_of=2999-01-01T00:00:00Z&limit=2&sort=source"
    first = (await http.get(f"/v1/alarms?{query}")).json()
    await raised(http, source="3")
    rest = (await http.get(f"/v1/alarms?{query}&cursor={first['next']}")).json()
    assert ([alarm["source"] for alarm in rest["alarms"]], rest["position"], rest["next"]) == (["2"], 3, None)


async def test_one_alarm_is_read_as_it_stood_at_a_position(http: httpx.AsyncClient) -> None:
    await raised(http, source="other")
    alarm = await raised(http)
    await post(http, f"/v1/alarms/{alarm['id']}/acknowledge", revision=1)
    path = f"/v1/alarms/{alarm['id']}"
    assert (await http.get(f"{path}?as_of=2")).json() == alarm
    assert (await http.get(f"{path}?as_of=3")).json()["state"] == "acked"
    assert problem(await http.get(f"{path}?as_of=1")) == (404, "unknown_alarm")
    assert problem(await http.get(f"{path}?as_of=4")) == (422, "position_ahead")


async def test_an_alarm_that_has_not_changed_is_not_sent_again(http: httpx.AsyncClient) -> None:
    alarm = await raised(http)
    path = f"/v1/alarms/{alarm['id']}"
    for tag in ('"1"', 'W/"1"', '"7", "1"', "*"):
        answer = await http.get(path, headers={"If-None-Match": tag})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", '"1"')
    assert (await http.get(path, headers={"If-None-Match": '"0"'})).status_code == 200


async def test_an_export_as_csv_has_every_field_and_no_formula(
    http: httpx.AsyncClient, stage: HttpStage
) -> None:
    await raised(http, source="=1+1", text='@cmd, "x"\r\nnext', labels={"a": "=b"}, details={"n": [1]})
    await raised(http, source="b", severity="warning")
    await stage.project()
    answer = await http.get("/v1/alarms/export?format=csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    assert answer.headers["content-disposition"].startswith('attachment; filename="alarms-')
    assert answer.headers["tocsin-position"] == "2"
    assert answer.text.endswith("\r\n")
    first, second = csv.DictReader(io.StringIO(answer.text, newline=""))
    assert tuple(first) == COLUMNS == Alarm.__struct_fields__
    assert first["source"] == "'=1+1"
    assert first["text"] == '\'@cmd, "x"\r\nnext'
    assert (json.loads(first["labels"]), json.loads(first["details"])) == ({"a": "=b"}, {"n": [1]})
    assert (first["active"], first["acked_by"], first["position"]) == ("true", "", "1")
    assert first["raised_at"].endswith("Z")
    assert second["severity"] == "warning"


async def test_an_export_as_ndjson_has_every_row_of_the_list(
    http: httpx.AsyncClient, stage: HttpStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("entrypoints.http.routes.alarms.LIMIT", 2)
    await plant(http, stage)
    for query in ("", "severity=critical", "as_of=3&sort=source", "q=.*"):
        answer = await http.get(f"/v1/alarms/export?format=ndjson&{query}")
        assert answer.headers["content-type"] == "application/x-ndjson"
        rows = [json.loads(line) for line in answer.text.splitlines()]
        assert rows == (await http.get(f"/v1/alarms?{query}")).json()["alarms"]
    head = await http.head("/v1/alarms/export")
    assert (head.status_code, head.content) == (200, b"")
    assert problem(await http.get("/v1/alarms/export?format=xlsx")) == (422, "invalid")
    assert problem(await http.get("/v1/alarms/export?limit=3")) == (422, "invalid")


async def test_a_list_that_is_too_broad_is_refused(
    http: httpx.AsyncClient, stage: HttpStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def page(_: Any) -> Any:
        raise TooBroad("too many")

    monkeypatch.setattr(stage.alarms, "page", page)
    for path in ("/v1/alarms", "/v1/alarms/export"):
        assert problem(await http.get(path)) == (422, "too_broad")

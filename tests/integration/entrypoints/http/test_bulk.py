"""Many commands in one request: an answer for each, in order, whatever becomes of the others."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from core.alarm.alarm import Identity
from core.errors import OutcomeUnknown, Unavailable
from entrypoints.http.json_pieces import JsonPieces
from entrypoints.http.limits import COMMANDS
from entrypoints.http.routes import bulk
from tests.integration.entrypoints.http.watched import WatchedLog
from tests.kit.http import HttpStage

JSON = {"content-type": "application/json"}


@pytest.fixture
def log() -> WatchedLog:
    return WatchedLog()


@pytest_asyncio.fixture
async def http(log: WatchedLog) -> AsyncIterator[httpx.AsyncClient]:
    async with HttpStage(log).client() as client:
        yield client


def raising(source: str = "pump", **more: Any) -> dict[str, Any]:
    return {"command": "raise", "source": source, "type": "hot", "severity": "major", **more}


def on(source: str, command: str, **more: Any) -> dict[str, Any]:
    return {"command": command, "alarm_id": Identity("default", source, "hot").alarm_id, **more}


async def answers(http: httpx.AsyncClient, *commands: Any, key: str | None = None) -> list[dict[str, Any]]:
    headers = {} if key is None else {"idempotency-key": key}
    answer = await http.post("/v1/commands", json=list(commands), headers=headers)
    assert answer.status_code == 200, answer.text
    told: list[dict[str, Any]] = answer.json()
    assert len(told) == len(commands)
    return told


def codes(told: list[dict[str, Any]]) -> list[Any]:
    return [each.get("code", each["status"]) for each in told]


async def test_every_command_has_its_answer_in_order(http: httpx.AsyncClient) -> None:
    told = await answers(http, raising("a"), raising("b"), raising("a"), on("b", "acknowledge", revision=1))
    assert codes(told) == [201, 201, 200, 200]
    assert [each["changed"] for each in told] == [True, True, False, True]
    assert [each["alarm"]["source"] for each in told] == ["a", "b", "a", "b"]
    assert told[3]["alarm"]["state"] == "acked"
    assert told[3]["position"] == told[3]["alarm"]["position"]


async def test_the_answers_are_those_of_the_single_routes(http: httpx.AsyncClient) -> None:
    alarm = (await answers(http, raising()))[0]["alarm"]
    path = f"/v1/alarms/{alarm['id']}/confirm"
    single = (await http.post(path)).json()
    [many] = await answers(http, on("pump", "confirm"))
    assert many == single
    assert many["allowed_commands"]


EVERY: list[dict[str, Any]] = [
    on("pump", "acknowledge", revision=1),
    on("pump", "confirm"),
    on("pump", "shelve", seconds=60, reason="noise"),
    on("pump", "unshelve"),
    on("pump", "remove_from_service", reason="repair"),
    on("pump", "place_in_service", reason="repaired"),
    on("pump", "assign", assignee="ada"),
    on("pump", "unassign"),
    on("pump", "comment", text="seen"),
    on("pump", "clear", occurred_at="2026-01-01T00:00:00Z"),
    on("pump", "reset"),
]


async def test_commands_on_one_alarm_keep_their_order(http: httpx.AsyncClient) -> None:
    told = await answers(http, raising(latched=True), *EVERY)
    assert codes(told) == [201] + [200] * len(EVERY)
    assert [each["alarm"]["revision"] for each in told] == list(range(1, len(EVERY) + 2))
    assert told[-1]["alarm"]["state"] == "normal"


async def test_suppression_in_bulk_is_not_up_to_an_operator(http: httpx.AsyncClient) -> None:
    told = await answers(http, raising(), on("pump", "suppress", reason="x"), on("pump", "unsuppress"))
    assert codes(told) == [201, "forbidden", "forbidden"]


async def test_a_device_clears_by_identity(http: httpx.AsyncClient) -> None:
    clearing = {"command": "clear", "source": "pump", "type": "hot"}
    told = await answers(http, clearing, raising(), clearing, clearing, on("pump", "clear"))
    assert codes(told) == ["unknown_alarm", 201, 200, 200, "not_active"]


INVALID: list[tuple[Any, str]] = [
    (7, "object"),
    (None, "object"),
    ([], "object"),
    ({}, "command"),
    ({"command": "explode", "alarm_id": "a"}, "explode"),
    ({"command": "confirm"}, "alarm_id"),
    (on("pump", "confirm", colour="red"), "colour"),
    (on("pump", "confirm", if_match=0), "if_match"),
    ({"command": "confirm", "alarm_id": "a" * 37}, "alarm_id"),
    ({"command": "clear", "alarm_id": "a" * 37}, "alarm_id"),
    (raising(severity="fatal"), "severity"),
    (raising(source=""), "source"),
    (raising(occurred_at="0001-01-01T00:00:00+14:00"), "occurred_at"),
    ({"command": "clear"}, "alarm_id"),
    ({"command": "clear", "source": "pump"}, "alarm_id"),
    ({"command": "clear", "alarm_id": "a", "source": "pump", "type": "hot"}, "alarm_id"),
    (raising(details={"a": 2**64}), "64 bits"),
]


@pytest.mark.parametrize(("element", "named"), INVALID)
async def test_an_invalid_element_is_refused_alone(http: httpx.AsyncClient, element: Any, named: str) -> None:
    told = await answers(http, raising("a"), element, raising("b"))
    assert codes(told) == [201, "invalid", 201]
    assert told[1]["status"] == 422
    assert named in told[1]["detail"]


async def test_an_element_that_is_no_valid_text_is_refused_alone(http: httpx.AsyncClient) -> None:
    body = b'[{"command": "confirm", "alarm_id": "\xff"}, {"command": "confirm", "alarm_id": "a"}]'
    answer = await http.post("/v1/commands", content=body, headers=JSON)
    assert codes(answer.json()) == ["invalid", "unknown_alarm"]


async def test_no_commands_have_no_answers(http: httpx.AsyncClient) -> None:
    assert await answers(http) == []


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"{}", (422, "invalid")),
        (b"null", (422, "invalid")),
        (b"", (400, "malformed_json")),
        (b"[{]", (400, "malformed_json")),
        (b"[" * 20_000 + b"]" * 20_000, (422, "invalid")),
        (b"[" + b"1," * 1_000 + b"1]", (413, "too_many_commands")),
        # So many that they are not even split.
        (b"[" + b"1," * 100_000 + b"1]", (413, "too_many_commands")),
        (b"[" + b"1," * 100_000 + b"{}]", (422, "invalid")),
    ],
)
async def test_a_body_that_is_no_array_of_commands_is_refused(
    http: httpx.AsyncClient, body: bytes, expected: tuple[int, str]
) -> None:
    answer = await http.post("/v1/commands", content=body, headers=JSON)
    assert (answer.status_code, answer.json()["code"]) == expected


async def test_large_arrays_are_not_split_in_the_same_turn_of_the_loop(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    turn, split = 0, Counter[int]()

    class NotedPieces(JsonPieces):
        def __iter__(self) -> Iterator[bytes]:
            for piece in super().__iter__():
                split[turn] += 1
                yield piece

    async def turns() -> None:
        nonlocal turn
        while True:
            turn += 1
            await asyncio.sleep(0)

    monkeypatch.setattr(bulk, "JsonPieces", NotedPieces)
    command = {"command": "confirm", "alarm_id": "x" * bulk.WHOLE_BYTES, "revision": 1}
    body = json.dumps([command]).encode()
    counting = asyncio.create_task(turns())
    told = await asyncio.gather(*(http.post("/v1/commands", content=body, headers=JSON) for _ in range(10)))
    counting.cancel()
    assert {answer.status_code for answer in told} == {200}
    assert (split.total(), max(split.values())) == (10, 1)


class TestIdempotencyKey:
    async def test_the_same_request_gets_the_first_answers(
        self, http: httpx.AsyncClient, log: WatchedLog
    ) -> None:
        commands = [raising("a"), on("a", "acknowledge", revision=1), on("b", "confirm"), raising("a")]
        first = await answers(http, *commands, key="k")
        await answers(http, on("a", "clear"), raising("b"))
        assert await answers(http, *commands, key="k") == first
        assert (await log.tail()).position == 4

    async def test_another_command_under_the_key_is_refused(self, http: httpx.AsyncClient) -> None:
        await answers(http, raising("a"), raising("b"), key="k")
        told = await answers(http, raising("a"), raising("c"), raising("d"), key="k")
        assert codes(told) == [201, "idempotency_key_reused", 201]

    @pytest.mark.parametrize("key", ["", "a b", "x" * 256])
    async def test_a_key_has_its_bounds(self, http: httpx.AsyncClient, key: str) -> None:
        headers = {"idempotency-key": key}
        for commands in ([raising()], []):
            answer = await http.post("/v1/commands", json=commands, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (422, "invalid")

    async def test_the_longest_key_fits(self, http: httpx.AsyncClient) -> None:
        assert codes(await answers(http, raising(), key="x" * 255)) == [201]


async def test_each_command_may_name_the_revision_it_is_for(http: httpx.AsyncClient) -> None:
    told = await answers(
        http,
        raising(),
        on("pump", "comment", text="a", if_match=1),
        on("pump", "comment", text="b", if_match=1),
        raising(text="new", if_match=2),
    )
    assert codes(told) == [201, 200, "precondition_failed", 200]
    assert (told[2]["status"], told[2]["revision"]) == (412, 2)


async def test_if_match_for_a_whole_array_is_refused(http: httpx.AsyncClient) -> None:
    answer = await http.post("/v1/commands", json=[raising()], headers={"if-match": '"1"'})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Unavailable("no primary"), "unavailable"),
        (OutcomeUnknown("no answer"), "outcome_unknown"),
        (RuntimeError("a secret"), "internal"),
    ],
)
async def test_a_failure_is_the_answer_of_its_own_command(
    http: httpx.AsyncClient, log: WatchedLog, error: Exception, code: str
) -> None:
    log.errors["bad"] = error
    told = await answers(http, raising("a"), raising("bad"), raising("b"), raising("bad"), raising("a"))
    # The second on the alarm was to come after the first, of which nobody knows.
    assert codes(told) == [201, code, 201, "unavailable", 200]
    assert "secret" not in str(told)


async def test_a_store_that_is_away_is_not_asked_for_every_command(
    http: httpx.AsyncClient, log: WatchedLog
) -> None:
    commands = [raising(f"s-{number}") for number in range(COMMANDS)]
    log.errors = {each["source"]: Unavailable("no primary") for each in commands}
    assert set(codes(await answers(http, *commands))) == {"unavailable"}
    assert log.tried == bulk.AT_ONCE


async def test_commands_go_side_by_side_and_not_all_at_once(http: httpx.AsyncClient, log: WatchedLog) -> None:
    told = await answers(http, *(raising(f"s-{number}") for number in range(COMMANDS)))
    assert set(codes(told)) == {201}
    assert log.most == bulk.AT_ONCE

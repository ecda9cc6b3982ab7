"""Large bodies: read in pieces, all before any of it is carried out, and few at the same time."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from core.application.places import Places
from entrypoints.http.app import create_app
from entrypoints.http.json_pieces import PIECE_BYTES
from entrypoints.http.limits import BODY_BYTES, COMMANDS
from entrypoints.http.routes import alertmanager, bulk
from entrypoints.http.state import AppState
from tests.kit.http import HttpStage, problem

JSON = {"content-type": "application/json"}


def alert(source: str, status: str = "firing", **annotations: str) -> dict[str, Any]:
    labels = {"alertname": "DiskFull", "instance": source, "severity": "warning"}
    return {"status": status, "labels": labels, "annotations": annotations}


def many(count: int) -> list[dict[str, Any]]:
    return [alert(f"s-{number}") for number in range(count)]


def raising(source: str, **more: Any) -> dict[str, Any]:
    return {"command": "raise", "source": source, "type": "hot", "severity": "major", **more}


async def tell(http: httpx.AsyncClient, *alerts: Any, **more: Any) -> httpx.Response:
    body = {"receiver": "tocsin", "alerts": alerts, **more}
    return await http.post("/v1/ingest/alertmanager", json=body)


@asynccontextmanager
async def counted_turns() -> AsyncIterator[list[int]]:
    """Count how many turns of the loop others have meanwhile."""
    turns = [0]

    async def count() -> None:
        while True:
            turns[0] += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    try:
        yield turns
    finally:
        counting.cancel()


async def test_a_payload_in_pieces_is_taken_as_one(http: httpx.AsyncClient, stage: HttpStage) -> None:
    answer = await tell(http, alert("first", "resolved"), *many(2_500), externalURL="http://am")
    assert answer.json() == {"alerts": 2_501, "refused": 0}
    recorded = (await stage.log.read(0, 3_000)).events
    assert {event.alarm.source for event in recorded} == {f"s-{number}" for number in range(2_500)}
    assert {event.alarm.details["external_url"] for event in recorded} == {"http://am"}


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        ({"status": "wobbling", "labels": {}}, (422, "invalid")),
        (alert("flood", **{str(number): "x" for number in range(20_000)}), (503, "payload_too_large")),
    ],
)
async def test_nothing_is_carried_out_before_all_of_a_payload_is_read(
    http: httpx.AsyncClient, stage: HttpStage, last: dict[str, Any], expected: tuple[int, str]
) -> None:
    assert problem(await tell(http, *many(1_500), last)) == expected
    assert not (await stage.log.read(0, 10)).events


async def test_a_payload_names_its_alerts_once(http: httpx.AsyncClient) -> None:
    alerts = json.dumps(many(1_500))
    twice = f'{{"alerts": {alerts}, "alerts": {json.dumps(many(1))}}}'
    answer = await http.post("/v1/ingest/alertmanager", content=twice, headers=JSON)
    assert problem(answer) == (422, "invalid")


async def test_others_have_their_turns_while_a_payload_is_read(http: httpx.AsyncClient) -> None:
    alerts = many(10_000)
    async with counted_turns() as turns:
        # Nothing is carried out, since the last one is no alert.
        assert (await tell(http, *alerts, {})).status_code == 422
    assert turns[0] >= len(json.dumps(alerts)) / PIECE_BYTES


async def test_others_have_their_turns_while_alerts_become_commands(
    stage: HttpStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alertmanager, "carry_out", nothing)
    async with stage.client() as http, counted_turns() as turns:
        assert (await tell(http, *many(300))).status_code == 200
    assert turns[0] >= 300 / alertmanager.SLICE_ALERTS


async def nothing(*_: object) -> list[Any]:
    return []


async def test_large_payloads_wait_for_a_place_and_small_ones_do_not(stage: HttpStage) -> None:
    large = alert("a", description="x" * 2 * BODY_BYTES)
    places = Places("large payloads", 1, 0, 5.0)
    app = create_app(AppState(services=stage.services, large_payloads=places))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://tocsin") as http:
        async with places.taken():
            assert problem(await tell(http, large)) == (503, "unavailable")
            assert (await tell(http, alert("a"))).status_code == 200
        assert (await tell(http, large)).status_code == 200


async def test_commands_in_pieces_are_answered_as_one(http: httpx.AsyncClient) -> None:
    commands = [raising(f"s-{number}", text="x" * 600) for number in range(COMMANDS)]
    told = (await http.post("/v1/commands", json=commands)).json()
    assert [each["alarm"]["source"] for each in told] == [each["source"] for each in commands]


@pytest.mark.parametrize("element", ["1,", '{"a": [1, 2]},'])
async def test_too_many_elements_are_not_all_decoded(http: httpx.AsyncClient, element: str) -> None:
    body = f"[{element * (900_000 // len(element))}1]"
    answer = await http.post("/v1/commands", content=body, headers=JSON)
    assert problem(answer) == (413, "too_many_commands")


async def test_a_command_larger_than_any_valid_one_is_refused_alone(http: httpx.AsyncClient) -> None:
    large = raising("large", details={"numbers": [1] * 200_000})
    told = (await http.post("/v1/commands", json=[raising("a"), large, raising("b")])).json()
    assert [each["status"] for each in told] == [201, 422, 201]
    assert "bytes" in told[1]["detail"]


async def test_others_have_their_turns_while_commands_are_read(http: httpx.AsyncClient) -> None:
    invalid = [raising(f"s-{number}", severity="fatal") for number in range(COMMANDS)]
    async with counted_turns() as turns:
        assert (await http.post("/v1/commands", json=invalid)).status_code == 200
    assert turns[0] >= 2 * COMMANDS / bulk.SLICE

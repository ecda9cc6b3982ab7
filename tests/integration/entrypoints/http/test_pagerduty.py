"""`POST /v2/enqueue`: what PagerDuty's clients send, and the answers that they understand."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from adapters.memory.log import MemoryLog
from core.alarm.alarm import Alarm
from core.alarm.events import Event
from core.errors import OutcomeUnknown, StartupRefused, Unavailable
from entrypoints.http.app import create_app
from entrypoints.http.state import AppState
from entrypoints.process.routing_keys import tenant_of_routing_key
from tests.kit.http import HttpStage

KEY = "R" * 32
PAYLOAD: dict[str, Any] = {"summary": "disk full", "source": "db-1", "severity": "error"}


async def send(http: httpx.AsyncClient, action: str, key: str | None = "k", **more: Any) -> httpx.Response:
    event = {"routing_key": KEY, "event_action": action, "dedup_key": key, **more}
    return await http.post("/v2/enqueue", json=event | ({"payload": PAYLOAD} if action == "trigger" else {}))


async def types(stage: HttpStage) -> list[str]:
    return [event.type for event in (await stage.log.read(0, 100)).events]


async def test_an_incident_is_triggered_acknowledged_and_resolved(
    http: httpx.AsyncClient, stage: HttpStage
) -> None:
    for action in ("trigger", "trigger", "acknowledge", "resolve", "resolve"):
        answer = await send(http, action)
        assert answer.status_code == 202
        assert answer.json() == {"status": "success", "message": "Event processed", "dedup_key": "k"}
    assert await types(stage) == ["alarm.raised", "alarm.acknowledged", "alarm.cleared"]
    assert (await stage.log.read(2, 1)).events[0].alarm.state == "normal"


@pytest.mark.parametrize("action", ["acknowledge", "resolve"])
async def test_an_event_about_nothing_open_is_dropped(
    http: httpx.AsyncClient, stage: HttpStage, action: str
) -> None:
    assert (await send(http, action)).status_code == 202
    assert await types(stage) == []
    await send(http, "trigger")
    await send(http, "resolve")
    assert (await send(http, action)).status_code == 202
    assert await types(stage) == ["alarm.raised", "alarm.cleared"]


async def test_a_second_acknowledgement_is_dropped(http: httpx.AsyncClient, stage: HttpStage) -> None:
    for action in ("trigger", "acknowledge", "acknowledge"):
        assert (await send(http, action)).status_code == 202
    assert await types(stage) == ["alarm.raised", "alarm.acknowledged"]


async def test_an_acknowledgement_is_of_the_alarm_as_it_stands(
    http: httpx.AsyncClient, stage: HttpStage
) -> None:
    await send(http, "trigger")
    alarm = (await stage.log.read(0, 1)).events[0].alarm
    worse = {
        "severity": "critical",
        **{name: getattr(alarm, name) for name in ("source", "type", "qualifier")},
    }
    newest = stage.log.newest
    read = 0

    async def announced_again_meanwhile(stream: str) -> Event | None:
        nonlocal read
        found = await newest(stream)
        read += 1
        if read == 1:
            assert (await http.post("/v1/alarms", json=worse)).status_code == 200
        return found

    stage.log.newest = announced_again_meanwhile  # type: ignore[method-assign]
    assert (await send(http, "acknowledge")).status_code == 202
    assert await types(stage) == ["alarm.raised", "alarm.updated", "alarm.acknowledged"]


async def test_a_dedup_key_is_made_and_told_where_there_is_none(
    http: httpx.AsyncClient, stage: HttpStage
) -> None:
    keys = {(await send(http, "trigger", None)).json()["dedup_key"] for _ in range(2)}
    assert len(keys) == 2
    for key in keys:
        await send(http, "resolve", key)
    assert (await types(stage)).count("alarm.cleared") == 2


async def test_an_event_that_is_wrong_is_answered_as_pagerduty_does(http: httpx.AsyncClient) -> None:
    answer = await http.post("/v2/enqueue", json={"routing_key": KEY, "event_action": "explode"})
    assert answer.status_code == 400
    body = answer.json()
    assert (body["status"], body["message"]) == ("invalid event", "Event object is invalid")
    assert "'event_action'" in body["errors"][0]


async def test_the_media_type_does_not_matter(http: httpx.AsyncClient) -> None:
    body = b'{"routing_key": "%s", "event_action": "resolve", "dedup_key": "k"}' % KEY.encode()
    assert (await http.post("/v2/enqueue", content=body)).status_code == 202


async def test_too_large_an_event_is_not_answered_413(http: httpx.AsyncClient) -> None:
    sent = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(1_000):
            sent += 1
            yield b" " * 65_536

    answer = await http.post("/v2/enqueue", content=chunks())
    assert (answer.status_code, answer.json()["status"]) == (400, "invalid event")
    assert sent == 9


class FailingLog(MemoryLog):
    def __init__(self, error: Exception) -> None:
        super().__init__("a-log")
        self._error = error

    async def append(self, before: Alarm, event: Event) -> Event:
        raise self._error


@pytest.mark.parametrize("error", [Unavailable("no primary"), OutcomeUnknown("no answer")])
async def test_a_failure_that_a_retry_helps_is_answered_503(error: Exception) -> None:
    async with HttpStage(FailingLog(error)).client() as http:
        answer = await send(http, "trigger")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


async def test_a_routing_key_stands_for_a_tenant(stage: HttpStage) -> None:
    tenant_of = tenant_of_routing_key(f"{KEY}=plant, other=office", None)
    transport = httpx.ASGITransport(create_app(AppState(services=stage.services, tenant_of=tenant_of)))
    async with httpx.AsyncClient(transport=transport, base_url="http://tocsin") as http:
        assert (await send(http, "trigger")).status_code == 202
        unknown = await send(http, "trigger", routing_key="S" * 32)
    assert (unknown.status_code, unknown.json()["status"]) == (400, "invalid event")
    [event] = (await stage.log.read(0, 10)).events
    assert (event.tenant, event.alarm.tenant) == ("plant", "plant")


def test_routing_keys_can_stand_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("# the plant's\n\nabc = plant\n")
    tenant_of = tenant_of_routing_key(str(file), "default")
    assert (tenant_of("abc"), tenant_of("abd")) == ("plant", None)


@pytest.mark.parametrize("setting", ["a=", "=b", "a=b,c", "/no/such/file", ","])
def test_routing_keys_that_make_no_sense_refuse_the_start_and_are_not_shown(setting: str) -> None:
    with pytest.raises(StartupRefused) as refused:
        tenant_of_routing_key(setting, "default")
    assert "a=b" not in str(refused.value)

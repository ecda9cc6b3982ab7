"""What every command's route has in common: keys, media types, sizes, methods, and how much it takes on."""

import asyncio
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from adapters.memory.log import MemoryLog
from core.alarm.alarm import Alarm, Identity
from core.alarm.events import SCHEMA_VERSION, Event
from entrypoints.http import admission
from entrypoints.http.admission import Admission
from entrypoints.http.app import create_app
from entrypoints.http.routes import bulk, commands
from entrypoints.http.services import Services
from entrypoints.http.state import AppState
from tests.kit.http import HttpStage, problem

ID = Identity("default", "pump", "hot").alarm_id
RAISE: dict[str, Any] = {"source": "pump", "type": "hot", "severity": "major"}
BODIES: dict[str, Any] = {
    "alarms": RAISE,
    "clear": {"source": "pump", "type": "hot"},
    "commands": [{"command": "raise", **RAISE}],
    "acknowledge": {"revision": 1},
    "remove_from_service": {"reason": "repair"},
    "place_in_service": {"reason": "repaired"},
    "assign": {"assignee": "ada"},
    "comment": {"text": "seen"},
}
PATHS = [each.path.format(alarm_id=ID) for each in [*commands.routes, *bulk.routes]]
BY_ID_CLEAR = f"/v1/alarms/{ID}/clear"
INGESTS = ["/v1/ingest/alertmanager", "/v2/enqueue"]
JSON = {"content-type": "application/json"}


def body_for(path: str) -> Any:
    return {} if path == BY_ID_CLEAR else BODIES.get(path.rpartition("/")[2], {})


@pytest.mark.parametrize("path", PATHS)
async def test_each_command_takes_an_idempotency_key(http: httpx.AsyncClient, path: str) -> None:
    await http.post("/v1/alarms", json=RAISE)
    headers = {"idempotency-key": "k"}
    first = await http.post(path, json=body_for(path), headers=headers)
    assert first.status_code != 422, first.text
    # Whatever happens in between, it is the first answer that comes again.
    for each in ("acknowledge", "confirm", "shelve", "clear", "assign", "remove_from_service"):
        await http.post(f"/v1/alarms/{ID}/{each}", json=body_for(f"/{each}") if each != "clear" else {})
    second = await http.post(path, json=body_for(path), headers=headers)
    assert (second.status_code, second.json()) == (first.status_code, first.json())


@pytest.mark.parametrize("key", ["", "a b", "x" * 256])
@pytest.mark.parametrize("path", PATHS)
async def test_each_command_refuses_a_key_that_is_none(http: httpx.AsyncClient, path: str, key: str) -> None:
    answer = await http.post(path, json=body_for(path), headers={"idempotency-key": key})
    assert problem(answer) == (422, "invalid")


@pytest.mark.parametrize("path", PATHS)
async def test_each_command_takes_json_alone(http: httpx.AsyncClient, path: str) -> None:
    answer = await http.post(path, content=b"a=b", headers={"content-type": "text/plain"})
    assert problem(answer) == (415, "unsupported_media_type")


@pytest.mark.parametrize("path", PATHS)
async def test_each_body_has_its_bound(http: httpx.AsyncClient, path: str) -> None:
    answer = await http.post(path, content=b" " * (1024 * 1024 + 1), headers=JSON)
    assert problem(answer) == (413, "body_too_large")


@pytest.mark.parametrize(
    "accept", ["text/html", "application/json;q=0", "text/*, image/png", "application/jso"]
)
@pytest.mark.parametrize("path", PATHS)
async def test_a_client_that_takes_no_json_is_refused_and_its_command_not_done(
    http: httpx.AsyncClient, stage: HttpStage, path: str, accept: str
) -> None:
    answer = await http.post(path, json=body_for(path), headers={"accept": accept})
    assert problem(answer) == (406, "not_acceptable")
    assert (await stage.log.tail()).position == 0


ACCEPTED = ["", "*/*", "application/json", "application/*;q=0.1", "text/html, Application/JSON; q=0.5"]


@pytest.mark.parametrize("accept", ACCEPTED)
async def test_every_accept_header_that_takes_json_is_accepted(http: httpx.AsyncClient, accept: str) -> None:
    assert (await http.post("/v1/alarms", json=RAISE, headers={"accept": accept})).status_code == 201


@pytest.mark.parametrize("path", [path for path in [*PATHS, *INGESTS] if path != "/v1/alarms"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE"])
async def test_each_path_names_its_method(http: httpx.AsyncClient, path: str, method: str) -> None:
    answer = await http.request(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert answer.headers["content-type"] == "application/problem+json"


OPTIONS = {
    "/v1/alarms": "GET, HEAD, POST, OPTIONS",
    "/v1/commands": "POST, OPTIONS",
    "/healthz": "GET, HEAD, OPTIONS",
}


@pytest.mark.parametrize("path", OPTIONS)
async def test_each_path_tells_its_options(http: httpx.AsyncClient, path: str) -> None:
    answer = await http.options(path)
    assert (answer.status_code, answer.headers["allow"], answer.content) == (204, OPTIONS[path], b"")


async def test_head_answers_as_get_without_its_body(http: httpx.AsyncClient) -> None:
    await http.post("/v1/alarms", json=RAISE)
    head, get = await http.head(f"/v1/alarms/{ID}"), await http.get(f"/v1/alarms/{ID}")
    assert (head.status_code, head.headers["etag"]) == (200, get.headers["etag"])


# How much it takes on.


class Slow(MemoryLog):
    """A log that answers nothing until the test lets it."""

    def __init__(self) -> None:
        super().__init__("a-log")
        self.asked = asyncio.Event()
        self.go = asyncio.Event()

    async def append(self, before: Alarm, event: Event) -> Event:
        self.asked.set()
        await self.go.wait()
        return await super().append(before, event)


def client(services: Services, admitting: Admission) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(create_app(AppState(services=services, admission=admitting)))
    return httpx.AsyncClient(transport=transport, base_url="http://tocsin")


async def test_no_more_commands_are_under_way_than_can_be_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "UNDER_WAY", 2)
    log = Slow()
    many = [{"command": "raise", **RAISE, "qualifier": str(number)} for number in range(2)]
    async with client(HttpStage(log).services, Admission()) as http:
        under_way = asyncio.create_task(http.post("/v1/commands", json=many))
        await log.asked.wait()
        for path in ("/v1/alarms", "/v1/commands", BY_ID_CLEAR):
            refused = await http.post(path, json=body_for(path))
            assert problem(refused) == (429, "too_many_requests")
            assert refused.headers["retry-after"] == "1"
        ingested = asyncio.create_task(http.post(INGESTS[0], json={"alerts": [ALERT]}))
        log.go.set()
        assert (await under_way).status_code == 200
        assert (await ingested).status_code == 200
        assert (await http.post("/v1/alarms", json=RAISE)).status_code == 201


ALERT = {"status": "firing", "labels": {"alertname": "Disk", "instance": "db"}}


async def test_a_tenant_goes_no_faster_than_it_may(stage: HttpStage) -> None:
    now = 0.0
    many = [{"command": "explode"}] * 600
    async with client(stage.services, Admission(100.0, lambda: now)) as http:
        assert (await http.post("/v1/commands", json=many)).status_code == 200
        refused = await http.post("/v1/commands", json=many)
        assert problem(refused) == (429, "too_many_requests")
        assert refused.headers["retry-after"] == "2"
        assert (await http.post("/v1/alarms", json=RAISE)).status_code == 201
        now += 2.01
        assert (await http.post("/v1/commands", json=many)).status_code == 200
        assert problem(await http.post("/v1/alarms", json=RAISE)) == (429, "too_many_requests")
        assert (await http.post(INGESTS[0], json={"alerts": [ALERT]})).status_code == 200


# Another version.


class Newer(MemoryLog):
    """A log whose events a newer version has written."""

    async def newest(self, stream: str) -> Event | None:
        found = await super().newest(stream)
        return None if found is None else replace(found, v=SCHEMA_VERSION + 1)


async def test_an_event_of_a_newer_version_stops_the_command_and_says_so() -> None:
    log = Newer("a-log")
    async with HttpStage(log).client() as newer:
        await newer.post("/v1/alarms", json=RAISE)
    async with HttpStage(log).client() as http:
        refused = await http.post(f"/v1/alarms/{ID}/comment", json={"text": "a"})
        assert problem(refused) == (503, "newer_version")
        assert "retry-after" in refused.headers
        assert "v2" in refused.json()["detail"]
        [told] = (await http.post("/v1/commands", json=[{"command": "confirm", "alarm_id": ID}])).json()
        assert (told["status"], told["code"]) == (503, "newer_version")
    assert (await log.tail()).position == 1

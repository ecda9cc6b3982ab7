"""Queries that look at many alarms have places of their own; others don't need one."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx
import pytest
import pytest_asyncio

from core.application.places import Places
from core.log.ports import Stamp
from entrypoints.http.app import create_app
from entrypoints.http.state import AppState
from tests.kit.http import HttpStage, problem, raised

COSTLY = ["/v1/alarms?as_of=1", "/v1/alarms?q=boiler", "/v1/alarms/export?format=csv", "/v1/stats"]


class NotedPlaces(Places):
    """Places that note whether they would rest, and never do."""

    def __init__(self) -> None:
        super().__init__("costly queries", 1, 0, 5.0)
        self.rests: list[bool] = []

    @asynccontextmanager
    async def taken(self, rests: Callable[[], bool] = lambda: False) -> AsyncIterator[None]:
        async with super().taken():
            yield
            self.rests.append(rests())


@pytest.fixture
def places() -> NotedPlaces:
    return NotedPlaces()


@pytest.fixture
def state(stage: HttpStage, places: Places) -> AppState:
    return AppState(services=stage.services, costly_queries=places)


@pytest_asyncio.fixture
async def http(stage: HttpStage, state: AppState) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(state)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://tocsin") as client:
        await raised(client)
        await stage.project()
        yield client


@pytest.mark.parametrize("path", COSTLY)
async def test_a_costly_query_needs_a_place(http: httpx.AsyncClient, places: Places, path: str) -> None:
    async with places.taken():
        answer = await http.get(path)
    assert problem(answer) == (503, "unavailable")
    assert "retry-after" in answer.headers
    assert (await http.get(path)).status_code == 200


@pytest.mark.parametrize("path", COSTLY)
async def test_its_place_rests_while_commands_are_under_way(
    state: AppState, http: httpx.AsyncClient, places: NotedPlaces, path: str
) -> None:
    await http.get(path)
    with state.admission.admit("default", 1):
        await http.get(path)
    assert places.rests == [False, True]


@pytest.mark.parametrize("path", ["/v1/alarms?as_of=1", "/v1/alarms/export?as_of=1"])
async def test_a_refusal_reads_nothing(
    stage: HttpStage, http: httpx.AsyncClient, places: Places, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, tail = 0, stage.log.tail

    async def counted() -> Stamp:
        nonlocal asked
        asked += 1
        return await tail()

    monkeypatch.setattr(stage.log, "tail", counted)
    async with places.taken():
        assert problem(await http.get(path)) == (503, "unavailable")
    assert asked == 0
    assert (await http.get(path)).status_code == 200
    assert asked == 1


class Once(Places):
    """Refuses all but the first, unless they wait."""

    @asynccontextmanager
    async def taken(self, rests: Callable[[], bool] = lambda: False) -> AsyncIterator[None]:
        async with super().taken(rests):
            yield
        self._most_waiting = -1
        self._free = asyncio.Semaphore(0)
        asyncio.get_running_loop().call_soon(self._free.release)


async def test_an_export_that_began_waits_for_its_place_however_long(
    stage: HttpStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("entrypoints.http.export.FIRST_ROWS", 1)
    app = create_app(AppState(services=stage.services, costly_queries=Once("costly queries", 1, 0, 0.0)))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://tocsin") as client:
        for number in range(4):
            await raised(client, source=f"s-{number}")
        await stage.project()
        answer = await client.get("/v1/alarms/export?format=ndjson")
        assert (answer.status_code, answer.text.count("\n")) == (200, 4)


@pytest.mark.parametrize("path", ["/v1/events", "/v1/alarms/{id}/events"])
async def test_a_page_of_events_needs_a_place(stage: HttpStage, path: str) -> None:
    pages = Places("pages of events", 1, 0, 5.0)
    app = create_app(AppState(services=stage.services, log_pages=pages))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://tocsin") as client:
        address = path.format(id=(await raised(client))["id"])
        async with pages.taken():
            answer = await client.get(address)
        assert problem(answer) == (503, "unavailable")
        assert len((await client.get(address)).json()["events"]) == 1


async def test_commands_and_plain_lists_need_none(http: httpx.AsyncClient, places: Places) -> None:
    async with places.taken():
        assert (await http.get("/v1/alarms")).status_code == 200
        assert await raised(http, source="another")

"""Queries that look at many alarms have places of their own; others don't need one."""

from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from core.application.places import Places
from entrypoints.http.app import create_app
from entrypoints.http.state import AppState
from tests.kit.http import HttpStage, problem, raised


@pytest.fixture
def places() -> Places:
    return Places("costly queries", 1, 0, 5.0)


@pytest_asyncio.fixture
async def http(stage: HttpStage, places: Places) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(AppState(services=stage.services, costly_queries=places))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://tocsin") as client:
        await raised(client)
        await stage.project()
        yield client


@pytest.mark.parametrize(
    "path", ["/v1/alarms?as_of=1", "/v1/alarms?q=boiler", "/v1/alarms/export?format=csv", "/v1/stats"]
)
async def test_a_costly_query_needs_a_place(http: httpx.AsyncClient, places: Places, path: str) -> None:
    async with places.taken():
        answer = await http.get(path)
    assert problem(answer) == (503, "unavailable")
    assert "retry-after" in answer.headers
    assert (await http.get(path)).status_code == 200


async def test_commands_and_plain_lists_need_none(http: httpx.AsyncClient, places: Places) -> None:
    async with places.taken():
        assert (await http.get("/v1/alarms")).status_code == 200
        assert await raised(http, source="another")

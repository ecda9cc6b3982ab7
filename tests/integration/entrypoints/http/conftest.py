"""The application over adapters in memory, and a client of it, unless a file has its own."""

from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from tests.kit.http import HttpStage


@pytest.fixture
def stage() -> HttpStage:
    return HttpStage()


@pytest_asyncio.fixture
async def http(stage: HttpStage) -> AsyncIterator[httpx.AsyncClient]:
    async with stage.client() as client:
        yield client

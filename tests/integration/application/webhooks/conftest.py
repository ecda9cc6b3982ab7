from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest_asyncio

from adapters.mongo.client import Database
from tests.integration.application.webhooks.stage import Stage


@pytest_asyncio.fixture
async def stage(connected: Database) -> AsyncIterator[Stage]:
    made = Stage(connected)
    for store in (made.log, made.webhooks, made.outbox):
        await store.create()
    async with aclosing(made.sender):
        yield made

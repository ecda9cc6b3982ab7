"""Runs the MongoDB of `tocsin up`."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from adapters.mongo.embedded.mongod import EmbeddedMongod, find_mongod
from core.application.background import Background
from core.application.waiting import cancelled
from entrypoints.process.host import MACHINE


@asynccontextmanager
async def embedded_mongodb(folder: Path, mongod: str | None) -> AsyncIterator[str]:
    """Run a mongod on the folder while the context lasts, and start it again if it ends; yield its URI.

    `mongod` names the program; None: the one on PATH, or else the embedded one.

    Raises:
        StartupRefused: mongod is missing or does not start.
    """
    async with EmbeddedMongod(folder, find_mongod(mongod)) as running:
        watching = Background(MACHINE.chance).keep(
            "the watch over mongod", "serving", lambda: running.keep_running(MACHINE.chance)
        )
        keeping = asyncio.create_task(watching, name="mongod")
        try:
            yield running.uri
        finally:
            await cancelled([keeping])

"""Runs the MongoDB of `tocsin up`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from adapters.mongo.embedded.mongod import EmbeddedMongod, find_mongod


@asynccontextmanager
async def embedded_mongodb(folder: Path, mongod: str | None) -> AsyncIterator[str]:
    """Run a mongod on the folder while the context lasts; yield its URI.

    `mongod` names the program; None: the one on PATH, or else the embedded one.

    Raises:
        StartupRefused: mongod is missing or does not start.
    """
    async with EmbeddedMongod(folder, find_mongod(mongod)) as running:
        yield running.uri

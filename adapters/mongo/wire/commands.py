"""Runs commands on a database's primary, by the driver's public way."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol

from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from motor.motor_asyncio import AsyncIOMotorClientSession
from pymongo import ReadPreference

from adapters.mongo.client import CODEC, Database
from adapters.mongo.wire.messages import Documents

Run = Callable[[Mapping[str, Any], CodecOptions[Any]], Awaitable[Mapping[str, Any]]]
"""Runs one command (see Commands.run)."""


class Commands(Protocol):
    """Runs commands on a database's primary, each once."""

    async def run(
        self,
        command: Mapping[str, Any],
        codec: CodecOptions[Any] = CODEC,
        documents: Documents | None = None,
    ) -> Mapping[str, Any]:
        """Run the command and return its answer, decoded by `codec`; `documents` are encoded already.

        The answer may hold write errors and a write concern error: they are not raised.

        Raises:
            PyMongoError: as the driver does. The server may have run the command, unless there was none.
        """
        ...

    def session(self) -> AbstractAsyncContextManager[Run]:
        """Run commands that belong together: those that read a cursor on."""
        ...

    async def close(self) -> None:
        """Close what was opened for this; before the client."""
        ...


class DriverCommands:
    """Runs commands by the driver's public way: each takes a thread for as long as it lasts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def run(
        self,
        command: Mapping[str, Any],
        codec: CodecOptions[Any] = CODEC,
        documents: Documents | None = None,
        session: AsyncIOMotorClientSession | None = None,
    ) -> Mapping[str, Any]:
        """Run the command; see Commands."""
        whole = dict(command)
        if documents is not None:
            whole[documents[0]] = [RawBSONDocument(document) for document in documents[1]]
        answer: Mapping[str, Any] = await self._database.command(
            whole, codec_options=codec, read_preference=ReadPreference.PRIMARY, session=session
        )
        return answer

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Run]:
        """Run commands in one session of the server."""
        session = await self._database.client.start_session(causal_consistency=False)
        async with session:

            async def run(command: Mapping[str, Any], codec: CodecOptions[Any]) -> Mapping[str, Any]:
                return await self.run(command, codec, session=session)

            yield run

    async def close(self) -> None:
        """Do nothing: the client closes its connections."""

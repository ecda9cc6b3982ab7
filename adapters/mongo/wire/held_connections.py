"""Runs commands on the event loop, over a few connections that the driver opened."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

from bson.codec_options import CodecOptions
from pymongo.errors import AutoReconnect, ConfigurationError

from adapters.mongo.client import CODEC, Database
from adapters.mongo.wire.checkout import Checkout, check_fit
from adapters.mongo.wire.commands import DriverCommands, Run
from adapters.mongo.wire.held_connection import HeldConnection
from adapters.mongo.wire.messages import Documents

logger = logging.getLogger("tocsin.mongo")

HELD = 8
"""How many connections are held at most: for appender, doorbell, projectors, and reads side by side."""


class HeldConnections:
    """Runs commands on the primary (see Commands) without a thread; it belongs to one event loop.

    A command takes a free connection, or has the driver open one. Where HELD are busy, or where the URI asks
    for what a held connection lacks, the driver's public way runs the command. Close it before the client.
    """

    def __init__(self, database: Database) -> None:
        self._name = database.name
        self._client = database.client.delegate
        self._driver = DriverCommands(database)
        self._free: list[HeldConnection] = []
        self._held: set[HeldConnection] = set()
        self._opening: set[asyncio.Task[HeldConnection | None]] = set()
        # While MongoDB is away each opening blocks its thread for seconds: nobody else may wait for these.
        self._threads = ThreadPoolExecutor(HELD, thread_name_prefix="held-connections")
        self._ended = False
        try:
            check_fit(self._client)
        except ConfigurationError as reason:
            self._leave_to_driver(reason)

    async def run(
        self,
        command: Mapping[str, Any],
        codec: CodecOptions[Any] = CODEC,
        documents: Documents | None = None,
    ) -> Mapping[str, Any]:
        """Run the command; see Commands."""
        connection = await self._take()
        if connection is None:
            return await self._driver.run(command, codec, documents)
        try:
            return await connection.run(self._name, command, codec, documents)
        finally:
            self._put_back(connection)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Run]:
        """Run commands on one connection, which nobody else uses meanwhile."""
        connection = await self._take()
        if connection is None:
            async with self._driver.session() as run:
                yield run
            return

        async def run_here(command: Mapping[str, Any], codec: CodecOptions[Any]) -> Mapping[str, Any]:
            if not connection.usable:
                raise AutoReconnect("the connection was lost, or the primary is another")
            return await connection.run(self._name, command, codec, None)

        try:
            yield run_here
        finally:
            self._put_back(connection)

    async def close(self) -> None:
        """Close all connections, those that are being opened too; commands under way fail."""
        self._ended = True
        await asyncio.gather(*self._opening, return_exceptions=True)
        for connection in tuple(self._held):
            self._drop(connection)
        self._free.clear()
        self._threads.shutdown(wait=False)

    async def _take(self) -> HeldConnection | None:
        """Return a connection for one user, None where the driver is to run the command."""
        while self._free:
            connection = self._free.pop()
            if connection.usable:
                return connection
            self._drop(connection)
        if self._ended or len(self._held) + len(self._opening) >= HELD:
            return None
        # A caller may give up, but the connection will be there, and somebody has to hold it.
        opening = asyncio.create_task(self._open())
        self._opening.add(opening)
        opening.add_done_callback(self._opening.discard)
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(self._keep)
            raise

    async def _open(self) -> HeldConnection | None:
        try:
            loop = asyncio.get_running_loop()
            connection = HeldConnection(await loop.run_in_executor(self._threads, Checkout, self._client))
        except ConfigurationError as reason:
            self._leave_to_driver(reason)
            return None
        self._held.add(connection)
        return connection

    def _keep(self, opening: asyncio.Task[HeldConnection | None]) -> None:
        if not opening.cancelled() and opening.exception() is None and (connection := opening.result()):
            self._put_back(connection)

    def _put_back(self, connection: HeldConnection) -> None:
        if connection.closed or self._ended:
            self._drop(connection)
        else:
            self._free.append(connection)

    def _drop(self, connection: HeldConnection) -> None:
        self._held.discard(connection)
        connection.close()

    def _leave_to_driver(self, reason: ConfigurationError) -> None:
        self._ended = True
        logger.info("commands go through the driver's threads: %s", reason)

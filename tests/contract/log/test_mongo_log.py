"""The log on MongoDB: on a replica set, and on a mongod of its own, where reads stop at the journal."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from adapters.mongo.client import Database, connect
from adapters.mongo.log.journal import JournaledStore
from adapters.mongo.log.store import EventStore
from adapters.mongo.wire.commands import Commands, DriverCommands
from adapters.mongo.wire.held_connections import HeldConnections
from tests.contract.log.log_suite import LogContract, LogFactory
from tests.kit.chains import absent, chain, everything, raised
from tests.kit.logs import EventLog
from tests.kit.mongods import Mongod
from tests.kit.mongologs import WritableLog
from tests.kit.replicasets import ReplicaSet


class MongoLogContract(LogContract):
    store: type[EventStore] = EventStore
    commands: Callable[[Database], Commands] = HeldConnections

    @pytest_asyncio.fixture
    async def log_factory(self, uri: str, database: str) -> AsyncIterator[LogFactory]:
        async with AsyncExitStack() as stack:

            async def another() -> EventLog:
                connection = connect(uri, database)
                stack.callback(connection.client.close)
                commands = type(self).commands(connection)
                stack.push_async_callback(commands.close)
                log = WritableLog(connection, type(self).store(connection, commands))
                await log.create()
                await stack.enter_async_context(log.running())
                return log

            yield another

    async def test_an_append_goes_on_behind_positions_that_others_took(
        self, log: EventLog, log_factory: LogFactory
    ) -> None:
        other = await log_factory()
        await chain(log, 3)
        await chain(other, 3, "line/2")
        await chain(log, 3, "line/3")
        await chain(other, 3, "line/4")
        assert len(await everything(await log_factory())) == 12

    async def test_a_fresh_log_goes_on_behind_what_is_there(self, log_factory: LogFactory) -> None:
        await chain(await log_factory(), 2)
        event = await (await log_factory()).append(absent("line/2"), raised(absent("line/2"), "line/2"))
        assert event.position == 3


class TestMongoLog(MongoLogContract):
    @pytest.fixture
    def uri(self, replica_set: ReplicaSet) -> str:
        return replica_set.uri


class TestMongoLogByTheDriver(TestMongoLog):
    commands = DriverCommands


class TestMongoLogOnAStandalone(MongoLogContract):
    store = JournaledStore

    @pytest.fixture
    def uri(self, standalone: Mongod) -> str:
        return standalone.uri

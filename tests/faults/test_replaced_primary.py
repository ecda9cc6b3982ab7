"""A primary that slept through its replacement wakes, and is asked before it hears of it.

Its majority reads are old then: neither "nothing changed" nor a refusal may rest on them.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from msgspec.structs import replace
from pymongo import monitoring

from adapters.inprocess.turns import StreamTurns
from adapters.memory.answers import MemoryAnswers
from adapters.mongo.client import Database, connect
from core.alarm.commands import Command
from core.alarm.events import Event
from core.errors import OutcomeUnknown, Unavailable
from core.log.handler import CommandHandler, Outcome
from core.log.known_alarms import KnownAlarms
from tests.kit.given import clearing, raising
from tests.kit.hosts import HOST
from tests.kit.mongologs import WritableLog
from tests.kit.replicasets import ReplicaSet

pytestmark = pytest.mark.faults

ROUNDS = 5
"""How often the primary is replaced until an old read was seen: it may hear of it before it answers."""
SECONDS = 10.0


class Requests(monitoring.CommandListener):
    """Tells once a read of the log was sent."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.sent = asyncio.Event()

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        if event.command_name == "aggregate":
            self._loop.call_soon_threadsafe(self.sent.set)

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        """Do nothing."""

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        """Do nothing."""


class ShownLog(WritableLog):
    """A log that notes what its plain reads showed."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.shown: list[Event | None] = []

    async def newest(self, stream: str) -> Event | None:
        self.shown.append(await super().newest(stream))
        return self.shown[-1]


class Server:
    """A process: its handler, its log, and the reads it has sent."""

    def __init__(self, handler: CommandHandler, log: ShownLog, requests: Requests) -> None:
        self._handler = handler
        self.log = log
        self.requests = requests

    async def handle(self, command: Command) -> Outcome:
        """Handle the command under an event id of its own."""
        context = replace(command.context, event_id=HOST.ids.new())
        return await self._handler.handle(replace(command, context=context))


@asynccontextmanager
async def server(uri: str, database: str) -> AsyncIterator[Server]:
    requests = Requests()
    connection = connect(uri, database, [requests])
    log = ShownLog(connection)
    handler = CommandHandler(log, log, StreamTurns(), KnownAlarms(), MemoryAnswers())
    async with log.running():
        yield Server(handler, log, requests)
    connection.client.close()


async def replaced_while_asked(
    nodes: ReplicaSet, database: str, meanwhile: Command, command: Command
) -> bool:
    """Have a sleeping primary replaced, then ask it: tell whether it answered a read as if nothing had been.

    The command must then end without an answer: it may not know better, but must not say that it does.
    """
    old = await asyncio.to_thread(nodes.primary)
    async with server(nodes.uri, database) as there, server(old.uri, database) as here:
        before = await here.log.newest(command.alarm_id)
        await asyncio.to_thread(old.pause)
        await asyncio.to_thread(nodes.primary, but=[old])
        changed = await there.handle(meanwhile)
        assert changed.event is not None
        here.log.shown, here.requests.sent = [], asyncio.Event()
        asked = asyncio.create_task(here.handle(command))
        async with asyncio.timeout(SECONDS):
            await here.requests.sent.wait()
        await asyncio.to_thread(old.wake)
        with pytest.raises((Unavailable, OutcomeUnknown)):
            await asked
        stale = here.log.shown == [before]
    await asyncio.to_thread(nodes.heal)
    return stale


async def test_nothing_changed_is_never_answered_by_a_replaced_primary(
    three_nodes: ReplicaSet, database: str
) -> None:
    """Else the activation after the acknowledged clear is lost: `changed: false`."""
    async with server(three_nodes.uri, database) as there:
        await there.log.create()
        for _ in range(ROUNDS):
            await there.handle(raising())
            if await replaced_while_asked(three_nodes, database, clearing(), raising()):
                return
    pytest.fail("the replaced primary never answered")


async def test_a_refusal_is_never_answered_by_a_replaced_primary(
    three_nodes: ReplicaSet, database: str
) -> None:
    async with server(three_nodes.uri, database) as there:
        await there.log.create()
        for _ in range(ROUNDS):
            await there.handle(raising())
            await there.handle(clearing())
            again = raising(severity="critical")
            if await replaced_while_asked(three_nodes, database, again, clearing()):
                return
    pytest.fail("the replaced primary never answered")

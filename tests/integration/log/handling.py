"""Processes that handle commands on one log in memory."""

from collections.abc import Callable

from msgspec.structs import replace

from adapters.inprocess.turns import StreamTurns
from adapters.memory.answers import MemoryAnswers
from adapters.memory.log import Events, MemoryLog
from core.alarm.alarm import Alarm
from core.alarm.commands import Command
from core.alarm.events import Event
from core.log.handler import CommandHandler, Outcome
from core.log.known_alarms import KnownAlarms


class Log(MemoryLog):
    """A log that counts what is asked of it, and lets the test come in between."""

    def __init__(self, events: Events) -> None:
        super().__init__("log", events)
        self.reads = 0
        self.appends = 0
        self.before_append: Callable[[], None] = lambda: None
        self.lagging = False
        self.confirmations = 0
        self.replaced = False
        """Whether a primary that was replaced after the first event of each stream answers plain reads."""

    async def append(self, before: Alarm, event: Event) -> Event:
        self.appends += 1
        self.before_append()
        return await super().append(before, event)

    async def newest(self, stream: str) -> Event | None:
        self.reads += 1
        if self.replaced:
            return next(iter(await self.stream(stream, 0, 1)), None)
        return None if self.lagging else await super().newest(stream)

    async def confirmed(self, stream: str) -> Event | None:
        self.confirmations += 1
        return None if self.lagging else await super().newest(stream)


class Server:
    """One process: its handler and what it remembers."""

    def __init__(self, events: Events, answers: MemoryAnswers) -> None:
        self.log = Log(events)
        self.recollection = KnownAlarms()
        self.handler = CommandHandler(self.log, self.log, StreamTurns(), self.recollection, answers)
        self.minted = 0

    async def handle(self, command: Command, key: str | None = None, body: str = "body") -> Outcome:
        """Handle the command under an event id of its own."""
        self.minted += 1
        context = replace(
            command.context,
            event_id=f"{id(self)}-{self.minted}",
            command_id=key,
            command_hash=None if key is None else body,
        )
        return await self.handler.handle(replace(command, context=context))

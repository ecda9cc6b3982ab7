"""What one server process consists of, without its HTTP, several of them in the process of the tests."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import count

from core.alarm.alarm import Identity, Severity
from core.alarm.condition import Raise
from core.alarm.context import Context
from core.alarm.events import Actor, Event
from core.errors import OutcomeUnknown, Unavailable
from entrypoints.process.compose import Process, running
from entrypoints.process.host import MACHINE
from entrypoints.process.settings import FeedChoice, Settings
from entrypoints.process.storage import Storage, storage
from tests.kit.waiting import eventually

SOURCE = Actor("tests", "source")

WRITERS = 20
EACH = 15
"""How many alarms a burst raises at once, and how often each."""


def raising(source: str, severity: Severity = "major", text: str = "") -> Raise:
    """Return the command to raise an alarm."""
    context = Context(event_id=MACHINE.ids.new(), tenant="default", actor=SOURCE, now=MACHINE.clock.now())
    identity = Identity("default", source, "pressure")
    return Raise(context=context, identity=identity, severity=severity, text=text)


class Member:
    """A storage and what runs on it; `seen` is every event that its feed has passed on."""

    def __init__(self, store: Storage, process: Process) -> None:
        self.store = store
        self.process = process
        self.feed = process.feed
        self.seen: list[Event] = []
        self.resets = 0
        self.feed.on_events(self.seen.extend, self._reset)

    def _reset(self) -> None:
        self.resets += 1

    async def raised(self, source: str, severity: Severity = "major", text: str = "") -> Event:
        """Raise an alarm, which must change something; return its event."""
        outcome = await self.process.services.handler.handle(raising(source, severity, text))
        assert outcome.event is not None
        return outcome.event

    async def raised_at_last(self, source: str, seconds: float = 60.0) -> Event:
        """Raise an alarm, again and again while MongoDB is away, until something was changed for certain."""
        tries = count()
        async with asyncio.timeout(seconds):
            while True:
                try:
                    return await self.raised(source, text=str(next(tries)))
                except (Unavailable, OutcomeUnknown):
                    continue

    async def reached(self, position: int, seconds: float = 20.0) -> Sequence[Event]:
        """Wait until the feed has passed the position on; return all that it has passed on."""
        await eventually(f"position {position} was read", lambda: self.feed.position >= position, seconds)
        return self.seen

    async def connected(self) -> None:
        """Wait until the doorbell is connected."""
        await eventually("the doorbell is connected", lambda: self.feed.live)


@asynccontextmanager
async def member(
    uri: str, database: str, feed: FeedChoice = "auto", redis_url: str | None = None
) -> AsyncIterator[Member]:
    """Run one, from the start-up checks on, and wait until it is connected."""
    settings = Settings(mongodb_uri=uri, database=database, feed=feed, redis_url=redis_url)
    async with storage(settings) as store, running(store) as process:
        built = Member(store, process)
        await built.connected()
        yield built


async def burst(member: Member, name: str) -> Sequence[Event]:
    """Raise alarms at once, each several times; return the events in order."""

    async def write(number: int) -> list[Event]:
        return [await member.raised(f"{name}-{number}", text=str(time)) for time in range(EACH)]

    written = await asyncio.gather(*(write(number) for number in range(WRITERS)))
    return sorted((event for events in written for event in events), key=lambda event: event.position)


def positions(events: Sequence[Event]) -> list[int]:
    """Return the events' positions."""
    return [event.position for event in events]

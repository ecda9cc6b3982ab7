"""The log of events in memory, for tests."""

import asyncio
from collections.abc import AsyncIterator, Sequence

from core.alarm.alarm import Alarm
from core.alarm.events import Event, Recorded, Snapshot
from core.alarm.evolution import place
from core.errors import DuplicateCommand, RevisionConflict
from core.log.ports import START, Page, Stamp

PAGE_EVENTS = 2
"""Few, so that every test meets a second page."""


class Events:
    """The events that one or more logs share: in order, by stream, by id and by command."""

    def __init__(self) -> None:
        # The event at position n is at index n - 1.
        self.all: list[Event] = []
        # A stream's event of revision n is at index n - 1.
        self.streams: dict[str, list[Event]] = {}
        self.ids: dict[str, Event] = {}
        self.commands: dict[tuple[str, str], Event] = {}

    def add(self, event: Event) -> None:
        """Add a placed event."""
        self.all.append(event)
        self.streams.setdefault(event.stream, []).append(event)
        self.ids[event.event_id] = event
        if event.command_id is not None:
            self.commands[event.tenant, event.command_id] = event


class MemoryLog:
    """The event log (see core.log.ports) over `events`; `identity` is the log identity.

    Several logs over the same events stand for several processes. The log is never unavailable.
    """

    def __init__(self, identity: str, events: Events | None = None) -> None:
        self._identity = identity
        self._events = Events() if events is None else events

    async def append(self, before: Alarm, event: Event) -> Event:
        """Append after the tail; raises RevisionConflict or DuplicateCommand."""
        # Yield, as a real append does: without it, no test would see two writers at once.
        await asyncio.sleep(0)
        recorded = self._events.ids.get(event.event_id)
        if recorded is not None:
            return recorded
        # MongoDB checks its indexes in this order, in which they were created.
        newest = len(self._events.streams.get(event.stream, ()))
        if event.revision != newest + 1:
            raise RevisionConflict(f"{event.stream} is at revision {newest}")
        if event.command_id is not None:
            first = self._events.commands.get((event.tenant, event.command_id))
            if first is not None:
                raise DuplicateCommand(first)
        tail = self._tail()
        placed = place(before, event, tail.position + 1, tail.at)
        self._events.add(placed)
        return placed

    async def read(self, after: int, limit: int) -> Page:
        """Return at most `limit` events of positions > after; the moment is the tail's position."""
        return Page(self._events.all[after : after + limit], len(self._events.all))

    async def recorded(self, after: int, limit: int) -> Sequence[Recorded]:
        """Return at most `limit` events of positions > after; here with their snapshots."""
        return self._events.all[after : after + limit]

    async def of_tenant(self, tenant: str, after: int, limit: int) -> Sequence[Event]:
        """Return at most `limit` of the tenant's events of positions > after, in order."""
        return [event for event in self._events.all[after:] if event.tenant == tenant][:limit]

    async def newest(self, stream: str) -> Event | None:
        """Return the stream's newest event."""
        events = self._events.streams.get(stream)
        return events[-1] if events else None

    async def confirmed(self, stream: str) -> Event | None:
        """Return the stream's newest event."""
        return await self.newest(stream)

    async def newest_of_all(self) -> AsyncIterator[Sequence[Snapshot]]:
        """Yield each stream's newest snapshot, in pages."""
        newest = [events[-1].snapshot for events in self._events.streams.values()]
        for start in range(0, len(newest), PAGE_EVENTS):
            yield newest[start : start + PAGE_EVENTS]

    async def streams(self) -> AsyncIterator[Sequence[str]]:
        """Yield the name of each stream, in pages."""
        names = list(self._events.streams)
        for start in range(0, len(names), PAGE_EVENTS):
            yield names[start : start + PAGE_EVENTS]

    async def stream(self, stream: str, after: int, limit: int) -> Sequence[Event]:
        """Return at most `limit` events of the stream with revisions > after, in order."""
        return self._events.streams.get(stream, [])[after : after + limit]

    async def by_command(self, tenant: str, command_id: str) -> Event | None:
        """Return the event recorded with this Idempotency-Key."""
        return self._events.commands.get((tenant, command_id))

    async def stamp(self, position: int) -> Stamp | None:
        """Return the stamp of the event at the position, or None where there is none (yet)."""
        if not 1 <= position <= len(self._events.all):
            return None
        return _stamp(self._events.all[position - 1])

    async def tail(self) -> Stamp:
        """Return the newest event's stamp, START for an empty log."""
        return self._tail()

    async def identity(self) -> str:
        """Return the log identity."""
        return self._identity

    def _tail(self) -> Stamp:
        return _stamp(self._events.all[-1]) if self._events.all else START


def _stamp(event: Event) -> Stamp:
    return Stamp(event.position, event.event_id, event.at)

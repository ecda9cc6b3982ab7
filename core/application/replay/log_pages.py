"""Reads the log from one position to another, page by page."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TypeVar

from core.alarm.events import Event, Recorded
from core.application.waiting import cancelled
from core.errors import LogMismatch
from core.log.ports import EventReader

R = TypeVar("R", bound=Recorded)

PAGE_EVENTS = 2_000

Read = Callable[[int, int], Awaitable[Sequence[R]]]
"""Returns at most so many events (the second argument) after a position (the first), in order."""


async def pages(read: Read[R], after: int, until: int) -> AsyncIterator[Sequence[R]]:
    """Yield the events after `after` up to `until`; read the next page while the caller works on one.

    Raises:
        LogMismatch: the log ends before `until`.
    """
    if after >= until:
        return
    reading = asyncio.ensure_future(read(after, PAGE_EVENTS))
    try:
        while after < until:
            events = await reading
            if not events:
                raise LogMismatch(f"the log ends at position {after}, before {until}")
            after = events[-1].position
            if after < until:
                reading = asyncio.ensure_future(read(after, PAGE_EVENTS))
                # Give the loop a turn: otherwise the read starts only after the caller's work.
                await asyncio.sleep(0)
            yield events if after <= until else [event for event in events if event.position <= until]
    finally:
        await cancelled([reading])


def check_gapless(events: Sequence[Recorded], after: int) -> None:
    """Raise LogMismatch unless the events directly follow `after`, without a gap."""
    for position, event in enumerate(events, after):
        check_follows(event, position)


def check_follows(event: Recorded, after: int) -> None:
    """Raise LogMismatch unless the event directly follows the position."""
    if event.position != after + 1:
        raise LogMismatch(f"event {event.position} follows {after}: the log has a gap")


def with_snapshots(log: EventReader) -> Read[Event]:
    """Return a function that reads the events with their snapshots."""

    async def read(after: int, limit: int) -> Sequence[Event]:
        return (await log.read(after, limit)).events

    return read

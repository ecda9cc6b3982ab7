"""The feed's rule: nothing is passed on that does not directly follow, whatever a doorbell brings along."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import pytest

from adapters.memory.log import Events, MemoryLog
from core.alarm.events import Event
from core.alarm.weight import memory_of
from core.application.feed import Feed
from core.application.recent_events import RecentEvents
from core.log.ports import Notice
from tests.kit.history import History
from tests.kit.hosts import HOST

SECONDS = 10.0


class Bringing:
    """A doorbell that rings with what is put into `rings`."""

    def __init__(self) -> None:
        self.rings: asyncio.Queue[Notice] = asyncio.Queue()

    @asynccontextmanager
    async def listen(self, moment: object, known: Callable[[], int]) -> AsyncIterator[AsyncIterator[Notice]]:
        yield self._told()

    async def _told(self) -> AsyncIterator[Notice]:
        while True:
            yield await self.rings.get()


async def passed_on(*rings: tuple[int, int]) -> tuple[list[Event], list[Event]]:
    """Ring with those slices of three events; return what the feed passes on, and the three."""
    history, events, doorbell, seen = History(), Events(), Bringing(), list[Event]()
    for number in range(3):
        history.raised(f"pump-{number}")
    feed = Feed(MemoryLog("log", events), doorbell, HOST.chance)
    await feed.start()
    feed.on_events(seen.extend, lambda: None)
    running = asyncio.create_task(feed.run())
    async with asyncio.timeout(SECONDS):
        while not feed.live:
            await asyncio.sleep(0)
        for event in history.events:
            events.add(event)
        for first, last in rings:
            doorbell.rings.put_nowait(Notice(history.events[first - 1 : last], last))
        async for _ in feed.follow(2):
            break
    running.cancel()
    return seen, history.events


def test_recent_events_are_bounded_in_items_and_bytes_and_the_newest_stays() -> None:
    history = History()
    for number in range(10):
        history.raised(f"pump-{number}", text="x" * 1_000)
    events = history.events
    recent = RecentEvents(most=7, size=5 * memory_of(events[-1]))
    recent.add(events[:6])
    recent.add(events[6:])
    assert recent.skipping(0, 9) == events[5:]
    assert recent.skipping(2, 2) == events[7:9]
    few = RecentEvents(most=3)
    few.add(events)
    assert few.skipping(0, 9) == events[7:]
    tiny = RecentEvents(size=1)
    tiny.add(events)
    assert tiny.skipping(0, 9) == events[9:]
    recent.clear()
    assert len(recent) == 0


async def test_an_event_that_comes_behind_a_gap_is_read_from_the_log() -> None:
    seen, events = await passed_on((1, 1), (3, 3))
    assert seen == events


async def test_an_event_that_comes_again_is_passed_on_once() -> None:
    seen, events = await passed_on((1, 2), (2, 2), (1, 3))
    assert seen == events


async def test_an_event_of_the_process_itself_is_passed_on_at_once_where_it_follows() -> None:
    history, seen = History(), list[Event]()
    for number in range(3):
        history.raised(f"pump-{number}")
    first, second, third = history.events
    feed = Feed(MemoryLog("log"), Bringing(), HOST.chance)
    await feed.start()
    feed.on_events(seen.extend, lambda: None)
    feed.hear(1, [first])
    assert seen == [first]
    # Another process was between: its event is read first.
    feed.hear(3, [third])
    assert seen == [first]
    assert feed.lag == 2
    feed.hear(3, [second, third])
    assert seen == history.events


async def test_a_listener_that_fails_starts_over_and_harms_no_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    history, seen, resets = History(), list[Event](), list[int]()
    for number in range(2):
        history.raised(f"pump-{number}")
    first, second = history.events
    feed = Feed(MemoryLog("log"), Bringing(), HOST.chance)
    await feed.start()

    def failing(events: Sequence[Event]) -> None:
        if first in events:
            raise KeyError("at")
        seen.extend(events)

    feed.on_events(failing, lambda: resets.append(feed.position))
    feed.on_events(seen.extend, lambda: resets.append(-1))
    with caplog.at_level(logging.ERROR, "tocsin.feed"):
        feed.hear(1, [first])
    assert (seen, resets) == ([first], [1])
    assert "KeyError" in caplog.text
    feed.hear(2, [second])
    assert seen == [first, second, second]


async def test_a_listener_that_cannot_even_start_over_harms_no_other() -> None:
    history, seen = History(), list[Event]()
    history.raised("pump")
    feed = Feed(MemoryLog("log"), Bringing(), HOST.chance)
    await feed.start()

    def failing(*_: object) -> None:
        raise KeyError("at")

    feed.on_events(failing, failing)
    feed.on_events(seen.extend, lambda: None)
    feed.hear(1, history.events)
    assert seen == history.events

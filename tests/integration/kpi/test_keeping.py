"""Buckets are the fold of the events, whoever writes them, however often, and whatever fails."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from adapters.memory.kpis import MemoryKpiBuckets
from core.alarm.events import Event
from core.errors import Unavailable
from core.kpi.bucket import Bucket
from core.kpi.bucket_keeper import BucketKeeper
from tests.integration.kpi.reckoning import of, projected
from tests.kit.shifts import shift, steps


@given(steps, st.lists(st.integers(0, 40), max_size=6))
def test_batches_that_overlap_and_come_again_make_the_same_buckets(
    moves: list[tuple[str, str, float]], cuts: list[int]
) -> None:
    events = shift(moves).events
    places = [0, *sorted(cut % (len(events) + 1) for cut in cuts), len(events)]
    batches = [events[max(0, start - 3) : end] for start, end in pairwise(places)]
    assert asyncio.run(projected(batches)) == of(events)


class Halting(MemoryKpiBuckets):
    """Buckets before whose writes a leader may be paused, or killed; or have its write fail."""

    def __init__(self, kept: MemoryKpiBuckets) -> None:
        super().__init__()
        self.kept = kept.kept
        self.halts: asyncio.Queue[bool] = asyncio.Queue()
        self.reached = asyncio.Event()

    async def write(self, generation: int, buckets: Sequence[Bucket]) -> None:
        self.reached.set()
        if await self.halts.get():
            raise Unavailable("it could not be written")
        await super().write(generation, buckets)


async def leading(
    events: Sequence[Event], kept: MemoryKpiBuckets, size: int, fails: Iterable[bool] = ()
) -> AsyncIterator[None]:
    """A leader that may be paused, or killed, between any two steps, and whose writes fail now and then."""
    halting, failing = Halting(kept), iter(fails)
    keeper = BucketKeeper(halting)
    start = 0
    while start < len(events):
        writing = asyncio.create_task(keeper.write(0, events[start : start + size]))
        await halting.reached.wait()
        halting.reached.clear()
        yield
        fails_now = next(failing, False)
        halting.halts.put_nowait(fails_now)
        await asyncio.wait([writing])
        if writing.exception() is None:
            start += size
        yield


@given(steps, st.lists(st.integers(0, 2), max_size=60), st.lists(st.integers(1, 9), min_size=3, max_size=3))
def test_leaders_that_get_in_each_others_way_make_the_same_buckets(
    moves: list[tuple[str, str, float]], turns: list[int], sizes: list[int]
) -> None:
    events, kept = shift(moves).events, MemoryKpiBuckets()

    async def all_of_them() -> None:
        leaders = [leading(events, kept, size) for size in sizes]
        for turn in turns:
            await anext(leaders[turn], None)
        for leader in reversed(leaders):
            async for _ in leader:
                pass

    asyncio.run(all_of_them())
    assert sorted(kept.kept.values(), key=lambda bucket: bucket.start) == of(events)


@given(steps, st.integers(1, 9), st.integers(1, 5))
def test_events_taken_in_before_they_are_stored_make_the_same_buckets(
    moves: list[tuple[str, str, float]], size: int, takes: int
) -> None:
    events, kept = shift(moves).events, MemoryKpiBuckets()

    async def all_of_it() -> None:
        keeper = BucketKeeper(kept)
        for number, start in enumerate(range(0, len(events), size), 1):
            before = dict(kept.kept)
            await keeper.take(0, events[start : start + size])
            assert kept.kept == before
            if number % takes == 0:
                await keeper.store()
        await keeper.store()

    asyncio.run(all_of_it())
    assert sorted(kept.kept.values(), key=lambda bucket: bucket.start) == of(events)


@given(steps, st.integers(1, 9), st.lists(st.booleans(), max_size=20))
def test_buckets_that_could_not_be_written_are_written_later(
    moves: list[tuple[str, str, float]], size: int, fails: list[bool]
) -> None:
    events, kept = shift(moves).events, MemoryKpiBuckets()

    async def all_of_it() -> None:
        async for _ in leading(events, kept, size, fails):
            pass

    asyncio.run(all_of_it())
    assert sorted(kept.kept.values(), key=lambda bucket: bucket.start) == of(events)

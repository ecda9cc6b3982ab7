"""The backlog is counted once for all who ask within a while, and goes on being counted without them."""

import asyncio
from collections.abc import Sequence

import pytest

from core.application.webhooks.backlog import FRESH_SECONDS, LONGEST_SECONDS, PAUSE_PER_SECOND, RecentBacklog
from core.errors import Unavailable
from core.outbox.ports import Backlog
from tests.kit.jumping import run

COUNT = [Backlog(webhook="hook", tenant="default", pending=1)]


class Counting:
    """A store that takes its time to count, or is away."""

    def __init__(self, seconds: float = 0.0, *, away: bool = False) -> None:
        self.counts = 0
        self.away = away
        self._seconds = seconds

    async def backlog(self) -> Sequence[Backlog]:
        self.counts += 1
        await asyncio.sleep(self._seconds)
        if self.away:
            raise Unavailable("away")
        return COUNT


def test_who_asks_within_a_while_gets_the_same_count() -> None:
    async def test() -> None:
        store = Counting()
        recent = RecentBacklog(store)
        assert [await recent.backlog() for _ in range(5)] == [COUNT] * 5
        await asyncio.sleep(FRESH_SECONDS - 1)
        await recent.backlog()
        assert store.counts == 1
        await asyncio.sleep(1)
        await recent.backlog()
        await asyncio.sleep(0)
        assert store.counts == 2

    run(test)


def test_a_count_that_takes_longer_than_who_asks_waits_is_there_for_the_next() -> None:
    async def test() -> None:
        store = Counting(5)
        recent = RecentBacklog(store)
        for _ in range(2):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(recent.backlog(), 2)
        assert await asyncio.wait_for(recent.backlog(), 2) == COUNT
        assert store.counts == 1

    run(test)


def test_counting_takes_a_small_part_of_the_time_and_nobody_waits_for_it_again() -> None:
    async def test() -> None:
        store = Counting(5)
        recent = RecentBacklog(store)
        await recent.backlog()
        for _ in range(100):
            assert await asyncio.wait_for(recent.backlog(), 0.1) == COUNT
            await asyncio.sleep(10)
        assert store.counts <= 1 + 1_000 / (5 * PAUSE_PER_SECOND)

    run(test)


def test_an_old_count_is_given_to_nobody() -> None:
    async def test() -> None:
        store = Counting(5)
        recent = RecentBacklog(store)
        await recent.backlog()
        await asyncio.sleep(LONGEST_SECONDS)
        await recent.backlog()
        assert store.counts == 2

    run(test)


def test_a_count_that_failed_is_made_anew() -> None:
    async def test() -> None:
        store = Counting(away=True)
        recent = RecentBacklog(store)
        with pytest.raises(Unavailable):
            await recent.backlog()
        store.away = False
        assert await recent.backlog() == COUNT

    run(test)

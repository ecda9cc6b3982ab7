"""The time by MongoDB's clock, in a time that jumps ahead whenever everything waits."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from adapters.memory.leases import MemoryLeases
from core.application.leases import ConditionalLeases
from core.application.timekeeping import AHEAD_SECONDS, RENEW_SECONDS, ROUND_TRIP_SECONDS, Timekeeper
from core.application.waiting import loop_time
from core.errors import Unavailable
from tests.kit.hosts import LoopClock
from tests.kit.jumping import run

BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
YEARS = 10 * 365 * 86_400.0


class Store:
    """MongoDB's clock, `ahead` seconds further once it was set; an answer takes `there` and `back`."""

    def __init__(self) -> None:
        self.clock = LoopClock(BEGINNING)
        self.there = self.back = 0.0
        self.away = False

    async def now(self) -> datetime:
        await asyncio.sleep(self.there)
        if self.away:
            raise Unavailable("away")
        time = self.clock.now()
        await asyncio.sleep(self.back)
        return time


class Place:
    """A machine with its clock, and MongoDB with its own."""

    def __init__(self) -> None:
        self.store, self.machine = Store(), LoopClock(BEGINNING)
        self.keeper = Timekeeper(self.store, self.machine)

    def error(self) -> float:
        """How far the keeper is ahead of MongoDB's clock."""
        return (self.keeper.now() - self.store.clock.now()).total_seconds()


@pytest.mark.parametrize("ahead", [YEARS, -YEARS, 3.0, 0.0])
def test_the_time_is_mongodbs_whatever_the_machine_says(ahead: float) -> None:
    async def test() -> None:
        place = Place()
        place.machine.ahead = ahead
        await place.keeper.start()
        assert place.error() == 0
        await asyncio.sleep(1_000)
        place.machine.ahead = -ahead
        assert place.error() == 0

    run(test)


@pytest.mark.parametrize(("there", "back"), [(0.4, 0.4), (0.8, 0.0), (0.0, 0.8)])
def test_an_answers_way_makes_an_error_of_half_the_round_trip_at_most(there: float, back: float) -> None:
    async def test() -> None:
        place = Place()
        place.store.there, place.store.back = there, back
        await place.keeper.start()
        assert abs(place.error()) == pytest.approx(abs(there - back) / 2)

    run(test)


def test_a_reading_that_took_too_long_replaces_none() -> None:
    async def test() -> None:
        place = Place()
        await place.keeper.start()
        place.store.back = ROUND_TRIP_SECONDS + 1
        await place.keeper.start()
        assert place.error() == 0

    run(test)


@pytest.mark.parametrize(
    ("ahead", "fit"), [(YEARS, False), (AHEAD_SECONDS + 1, False), (AHEAD_SECONDS - 1, True), (-YEARS, True)]
)
def test_a_machine_that_is_ahead_must_not_append(ahead: float, fit: bool) -> None:
    async def test() -> None:
        place = Place()
        place.machine.ahead = ahead
        await place.keeper.start()
        assert (place.keeper.fault() is None) == fit
        if fit:
            place.keeper.check()
            return
        with pytest.raises(Unavailable, match=f"{ahead:.0f} s ahead of MongoDB's, so this process records"):
            place.keeper.check()

    run(test)


def test_mongodbs_clock_is_read_anew_now_and_then_through_an_outage() -> None:
    async def test() -> None:
        place = Place()
        await place.keeper.start()
        keeping = asyncio.create_task(place.keeper.run())
        place.store.clock.ahead, place.store.away = -3.0, True
        await asyncio.sleep(2 * RENEW_SECONDS)
        assert place.error() == 3.0
        place.store.away = False
        await asyncio.sleep(2 * RENEW_SECONDS)
        assert place.error() == 0
        keeping.cancel()

    run(test)


def test_a_machine_that_was_suspended_is_doubted_until_mongodbs_clock_is_read_at_once() -> None:
    async def test() -> None:
        place = Place()
        await place.keeper.start()
        keeping = asyncio.create_task(place.keeper.run())
        await asyncio.sleep(1.0)
        # Both clocks went on; the event loop's did not.
        place.store.clock.ahead = place.machine.ahead = 3_600.0
        began = loop_time()
        assert place.keeper.fault() is not None
        while place.keeper.fault() is not None:
            await asyncio.sleep(0.01)
        assert loop_time() - began < 1.0
        assert place.error() == 0
        keeping.cancel()

    run(test)


@pytest.mark.parametrize("ahead", [YEARS, -YEARS, 0.0])
def test_a_moment_comes_by_mongodbs_clock(ahead: float) -> None:
    async def test() -> None:
        place = Place()
        place.machine.ahead = ahead
        await place.keeper.start()
        await place.keeper.sleep_until(place.keeper.now() + timedelta(seconds=20))
        assert loop_time() == pytest.approx(20)

    run(test)


def test_a_process_with_a_fault_takes_no_lease_and_loses_its_own() -> None:
    async def test() -> None:
        fault: str | None = None
        shared = MemoryLeases(loop_time)
        leases = ConditionalLeases(shared, lambda: fault)
        lease = await leases.acquire("deadlines", "here", 4.0)
        assert lease is not None
        assert await leases.renew(lease, 4.0)
        fault = "the clock"
        assert not await leases.renew(lease, 4.0)
        await leases.release(lease)
        assert await leases.acquire("deadlines", "here", 4.0) is None
        assert await shared.acquire("deadlines", "there", 4.0) is not None

    run(test)

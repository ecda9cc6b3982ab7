"""What core.coordination.ports.Leases and Takeover promise, in memory and on MongoDB."""

import asyncio
from collections.abc import Callable

import pytest

from adapters.memory.leases import MemoryLeases
from adapters.mongo.client import Database
from adapters.mongo.coordination.leases import MongoLeases
from core.coordination.ports import Holder, Lease, Takeover

LONG = 60.0
GONE = 0.0
"""A lease for no time at all has run out at once."""


async def taken(leases: Takeover, holder: str, seconds: float = LONG) -> Lease:
    lease = await leases.acquire("projector", holder, seconds)
    assert lease is not None
    return lease


class LeasesContract:
    async def test_a_free_lease_is_taken(self, leases: Takeover) -> None:
        assert await leases.acquire("projector", "a", LONG) == Lease("projector", "a", 1)

    async def test_a_held_lease_is_not_given_to_another(self, leases: Takeover) -> None:
        await taken(leases, "a")
        assert await leases.acquire("projector", "b", LONG) is None

    async def test_each_name_is_a_lease_of_its_own(self, leases: Takeover) -> None:
        await taken(leases, "a")
        assert await leases.acquire("relay", "b", LONG) == Lease("relay", "b", 1)

    async def test_the_holder_gets_its_own_lease_again(self, leases: Takeover) -> None:
        lease = await taken(leases, "a")
        assert await leases.acquire("projector", "a", LONG) == lease

    async def test_a_lease_that_ran_out_goes_to_another_with_a_greater_token(self, leases: Takeover) -> None:
        lease = await taken(leases, "a", GONE)
        assert (await taken(leases, "b")).token > lease.token
        assert not await leases.renew(lease, LONG)

    async def test_the_holder_renews_its_lease(self, leases: Takeover) -> None:
        lease = await taken(leases, "a", GONE)
        assert await leases.renew(lease, LONG)
        assert await leases.acquire("projector", "b", LONG) is None

    async def test_a_released_lease_is_free(self, leases: Takeover) -> None:
        lease = await taken(leases, "a")
        await leases.release(lease)
        assert (await taken(leases, "b")).token > lease.token

    async def test_a_released_lease_cannot_be_renewed(self, leases: Takeover) -> None:
        lease = await taken(leases, "a")
        await leases.release(lease)
        assert not await leases.renew(lease, LONG)
        assert (await taken(leases, "a")).token > lease.token

    async def test_releasing_a_lost_lease_does_not_touch_the_new_holders(self, leases: Takeover) -> None:
        lost = await taken(leases, "a", GONE)
        held = await taken(leases, "b")
        await leases.release(lost)
        assert await leases.renew(held, LONG)

    async def test_a_lease_is_taken_over_from_a_living_holder(self, leases: Takeover) -> None:
        lost = await taken(leases, "a")
        held = await leases.take_over("projector", "b", LONG)
        assert held.token > lost.token
        assert not await leases.renew(lost, LONG)
        assert await leases.acquire("projector", "a", LONG) is None

    @pytest.mark.parametrize("holder", ["$until", "$$NOW"])
    async def test_a_holder_may_have_any_name(self, leases: Takeover, holder: str) -> None:
        assert (await taken(leases, holder)).holder == holder

    async def test_of_many_at_once_one_gets_the_lease(self, leases: Takeover) -> None:
        tries = [leases.acquire("projector", f"holder {n}", LONG) for n in range(20)]
        assert sum(lease is not None for lease in await asyncio.gather(*tries)) == 1


class TestMemoryLeases(LeasesContract):
    @pytest.fixture
    def leases(self) -> MemoryLeases:
        return MemoryLeases()

    async def test_a_lease_runs_out_by_the_clock_it_was_given(self) -> None:
        time = [0.0]
        clock: Callable[[], float] = lambda: time[0]  # noqa: E731 (it says what is told)
        leases = MemoryLeases(clock)
        await taken(leases, "a", 4)
        time[0] = 3.9
        assert await leases.acquire("projector", "b", 4) is None
        time[0] = 4
        assert await leases.acquire("projector", "b", 4) is not None


class TestMongoLeases(LeasesContract):
    @pytest.fixture
    def leases(self, connected: Database) -> MongoLeases:
        return MongoLeases(connected)


class TestHolders:
    """Where the holder of a lease can be reached: on MongoDB alone."""

    @pytest.fixture
    def leases(self, connected: Database) -> MongoLeases:
        return MongoLeases(connected)

    async def test_a_holder_is_found_at_the_address_that_it_announced(self, leases: MongoLeases) -> None:
        assert await leases.holder("projector") is None
        lease = await taken(leases, "a")
        assert await leases.holder("projector") is None
        await leases.announce(lease, "127.0.0.1:7")
        assert await leases.holder("projector") == Holder("a", "127.0.0.1:7")

    async def test_the_address_of_an_earlier_holder_is_not_the_next_one_s(self, leases: MongoLeases) -> None:
        lease = await taken(leases, "a")
        await leases.announce(lease, "127.0.0.1:7")
        await leases.release(lease)
        await taken(leases, "b")
        assert await leases.holder("projector") is None
        await leases.announce(lease, "127.0.0.1:7")
        assert await leases.holder("projector") is None

    async def test_a_lease_that_ran_out_has_no_holder(self, leases: MongoLeases) -> None:
        lease = await taken(leases, "a", GONE)
        await leases.announce(lease, "127.0.0.1:7")
        assert await leases.holder("projector") is None

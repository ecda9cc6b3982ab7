"""Who appends for all: the lease changes hands, holders cannot be reached, and MongoDB is away."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from adapters.memory.leases import MemoryLeases
from core.application.appending import APPEND_SECONDS
from core.application.leases import LEASE_SECONDS, ConditionalLeases
from core.application.one_appender import AVOID_SECONDS, LEASE, LOOK_SECONDS, OneAppender
from core.application.waiting import cancelled, loop_time
from core.application.workers.leader import AWAY_SECONDS, STANDBY_SECONDS, Candidate
from core.coordination.ports import Holder, Lease
from core.errors import Unavailable
from core.log.forwarding import Forwarder
from core.log.submission import Submission
from tests.kit.appending import first_raise
from tests.kit.hosts import HOST
from tests.kit.jumping import run

OWN, OTHER = "own", "other"
TAKEOVER_SECONDS = LEASE_SECONDS + STANDBY_SECONDS + LOOK_SECONDS


class Board:
    """The lease `appender` with its holder's address, in memory; MongoDB can be away."""

    def __init__(self) -> None:
        self.leases = MemoryLeases(loop_time)
        self.away = self.odd = False
        self.addresses: dict[Lease, str] = {}

    async def announce(self, lease: Lease, address: str) -> None:
        self._ask()
        self.addresses[lease] = address

    async def holder(self, name: str) -> Holder | None:
        self._ask()
        lease = await self.leases.acquire(name, "nobody", 0.0)
        if lease is not None:
            await self.leases.release(lease)
            return None
        held = next(reversed(self.addresses), None)
        return None if held is None else Holder(held.holder, self.addresses[held])

    async def hold(self, holder: str, seconds: float = 3600.0) -> Lease:
        """Let another process append for all."""
        lease = await self.leases.take_over(LEASE, holder, seconds)
        await self.announce(lease, f"{holder}:1")
        return lease

    def _ask(self) -> None:
        if self.odd:
            raise KeyError("address")
        if self.away:
            raise Unavailable("away")


class FakeConnection:
    """A connection that lasts until it is cut."""

    def __init__(self) -> None:
        self.forwarder = Forwarder(lambda _: None, lambda: 0.0)
        self.gone = asyncio.Event()

    async def closed(self) -> None:
        await self.gone.wait()

    def abort(self) -> None:
        self.gone.set()


class FakePeers:
    """This process among its peers: who can be reached, and what was done."""

    address = f"{OWN}:1"

    def __init__(self) -> None:
        self.reachable = True
        self.admitting = False
        self.tries: list[tuple[float, str]] = []
        self.made: list[FakeConnection] = []
        self.connecting = asyncio.Event()
        self.connecting.set()

    async def connect(self, holder: Holder) -> FakeConnection:
        self.tries.append((loop_time(), holder.name))
        await self.connecting.wait()
        if not self.reachable:
            raise Unavailable("no route")
        self.made.append(FakeConnection())
        return self.made[-1]

    def admit(self) -> None:
        self.admitting = True

    def disconnect(self) -> None:
        self.admitting = False


class Notes:
    """What forwards or appends, as a list of what it was told."""

    def __init__(self) -> None:
        self.through: Forwarder | None = None
        self.taken_back: list[Submission] = []

    def forward_through(self, forwarder: Forwarder | None) -> None:
        self.through = forwarder

    @property
    def forwarding(self) -> bool:
        return self.through is not None

    def take_back(self, submissions: Sequence[Submission]) -> None:
        assert self.through is None, "what comes now must not be forwarded any more"
        self.taken_back += submissions


class Here:
    """One process with everything around it."""

    def __init__(self) -> None:
        self.board, self.peers, self.notes = Board(), FakePeers(), Notes()
        self.fault: str | None = None
        leases = ConditionalLeases(self.board.leases, lambda: self.fault)
        candidate = Candidate(leases, OWN, HOST.chance)
        self.one = OneAppender(candidate, self.board, self.peers, self.notes)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        tasks = [asyncio.ensure_future(each) for each in (self.one.hold(), self.one.follow())]
        try:
            yield
            assert not tasks[1].done()
        finally:
            await cancelled(tasks)

    async def holder(self) -> str | None:
        found = await self.board.holder(LEASE)
        return None if found is None else found.name


def test_who_finds_the_lease_free_holds_it_and_admits_peers() -> None:
    async def test() -> None:
        here = Here()
        async with here.running():
            await asyncio.sleep(LOOK_SECONDS)
            assert (await here.holder(), here.peers.admitting, here.peers.tries) == (OWN, True, [])
        assert (await here.holder(), here.peers.admitting) == (None, False)

    run(test)


def test_who_finds_it_held_forwards_and_takes_back_what_a_cut_left() -> None:
    async def test() -> None:
        here = Here()
        await here.board.hold(OTHER)
        async with here.running():
            await asyncio.sleep(LOOK_SECONDS)
            (connection,) = here.peers.made
            assert here.notes.through is connection.forwarder
            submission = Submission(*first_raise(), lambda _: None)
            connection.forwarder.submit(submission)
            connection.abort()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert here.notes.taken_back == [submission]
            assert here.notes.forwarding is False
            await asyncio.sleep(2 * LOOK_SECONDS)
            assert here.notes.through is here.peers.made[1].forwarder
        assert here.notes.through is None

    run(test)


def test_a_holder_that_is_gone_is_replaced_within_its_lease() -> None:
    async def test() -> None:
        here = Here()
        await here.board.hold(OTHER, LEASE_SECONDS)
        async with here.running():
            await asyncio.sleep(LOOK_SECONDS)
            (connection,) = here.peers.made
            # It still holds its connections: whoever leads must not forward.
            await asyncio.sleep(TAKEOVER_SECONDS)
            assert (await here.holder(), here.peers.admitting) == (OWN, True)
            assert connection.gone.is_set()
            assert here.notes.through is None

    run(test)


def test_who_became_the_holder_while_it_connected_to_the_one_before_does_not_forward() -> None:
    async def test() -> None:
        here = Here()
        await here.board.hold(OTHER, LEASE_SECONDS)
        here.peers.connecting.clear()
        async with here.running():
            await asyncio.sleep(TAKEOVER_SECONDS)
            assert await here.holder() == OWN
            here.peers.connecting.set()
            await asyncio.sleep(LOOK_SECONDS)
            assert here.notes.through is None
            assert all(each.gone.is_set() for each in here.peers.made)

    run(test)


def test_a_holder_that_cannot_be_reached_is_left_alone_for_a_while_and_told_of() -> None:
    async def test() -> None:
        here = Here()
        here.peers.reachable = False
        await here.board.hold(OTHER)
        async with here.running():
            await asyncio.sleep(LOOK_SECONDS)
            assert here.one.warnings()
            await asyncio.sleep(AVOID_SECONDS)
            assert len(here.peers.tries) <= 2
            # Another one is not the one that is avoided.
            await here.board.hold("third")
            here.peers.reachable = True
            await asyncio.sleep(2 * LOOK_SECONDS)
            assert here.peers.tries[-1][1] == "third"
            assert here.notes.through is not None
            assert here.one.warnings() == []

    run(test)


def test_without_mongodb_a_connection_stays_and_nobody_is_looked_for() -> None:
    async def test() -> None:
        here = Here()
        await here.board.hold(OTHER)
        async with here.running():
            await asyncio.sleep(LOOK_SECONDS)
            here.board.away = True
            await asyncio.sleep(APPEND_SECONDS)
            assert here.notes.through is not None
            here.peers.made[0].abort()
            await asyncio.sleep(APPEND_SECONDS)
            assert len(here.peers.tries) == 1
            assert here.notes.forwarding is False
            here.board.away = False
            await asyncio.sleep(2 * LOOK_SECONDS)
            assert here.notes.through is not None

    run(test)


def test_an_address_that_could_not_be_announced_is_announced_later() -> None:
    async def test() -> None:
        here = Here()
        here.board.away = True
        async with here.running():
            await asyncio.sleep(3 * LOOK_SECONDS)
            here.board.away = False
            await asyncio.sleep(2 * LOOK_SECONDS)
            assert await here.holder() == OWN

    run(test)


def test_a_process_whose_clock_is_wrong_gives_the_lease_up_and_ends_its_connections() -> None:
    async def test() -> None:
        here = Here()
        async with here.running():
            await asyncio.sleep(LOOK_SECONDS)
            here.fault = "ahead"
            await asyncio.sleep(LEASE_SECONDS)
            assert (await here.holder(), here.peers.admitting) == (None, False)
            await here.board.hold(OTHER)
            await asyncio.sleep(AWAY_SECONDS)
            assert here.notes.through is not None

    run(test)


def test_who_is_about_to_end_gives_the_lease_up_at_once_and_forwards_what_is_left() -> None:
    async def test() -> None:
        here = Here()
        async with here.running():
            await asyncio.sleep(LOOK_SECONDS)
            here.one.leave()
            await asyncio.sleep(LOOK_SECONDS / 10)
            assert (await here.holder(), here.peers.admitting) == (None, False)
            await asyncio.sleep(2 * LEASE_SECONDS)
            assert await here.holder() is None
            await here.board.hold(OTHER)
            await asyncio.sleep(2 * LOOK_SECONDS)
            assert here.notes.through is not None

    run(test)


def test_what_holding_fails_with_is_raised() -> None:
    async def test() -> None:
        here = Here()
        here.board.odd = True
        with pytest.raises(KeyError):
            await here.one.hold()
        assert not here.peers.admitting

    run(test)

"""The deadlines worker on memory adapters, in a time that jumps ahead whenever everything waits."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from adapters.inprocess.turns import StreamTurns
from adapters.memory.alarms import MemoryAlarmList
from adapters.memory.answers import MemoryAnswers
from adapters.memory.checkpoints import MemoryCheckpoints
from adapters.memory.leases import MemoryLeases
from adapters.memory.log import Events, MemoryLog
from adapters.memory.rebuild import MemoryAlarmRebuild
from core.alarm.alarm import Alarm, Identity
from core.alarm.commands import Command
from core.alarm.condition import Raise
from core.alarm.context import Context
from core.alarm.events import Actor, Event
from core.alarm.facts import Unshelved
from core.alarm.suppression import Shelve, Unshelve
from core.application.feed import Follow
from core.application.projections.alarms import PROJECTION, AlarmModel
from core.application.workers.deadlines import (
    DEADLINES_LEASE,
    ENDED_AT_ONCE,
    Deadlines,
    ShelfSources,
)
from core.application.workers.leader import LEADING, STANDBY
from core.coordination.ports import Checkpoint, Lease, Leases
from core.errors import OutcomeUnknown, Unavailable
from core.log.handler import CommandHandler, Outcome
from core.log.known_alarms import KnownAlarms
from tests.kit.given import BEGINNING
from tests.kit.hosts import SLEEP_SECONDS, CountedIds, LoopClock, candidate
from tests.kit.jumping import run
from tests.kit.workers import running


class Handler(CommandHandler):
    """A handler that fails as often as told, before or after the command was carried out."""

    def __init__(self, log: MemoryLog) -> None:
        super().__init__(log, log, StreamTurns(), KnownAlarms(), MemoryAnswers())
        self.failures: list[Exception] = []
        self.expiries: list[Unshelve] = []

    async def handle(self, command: Command) -> Outcome:
        if not isinstance(command, Unshelve) or command.expired is None:
            return await super().handle(command)
        self.expiries.append(command)
        if not self.failures:
            return await super().handle(command)
        failure = self.failures.pop(0)
        if isinstance(failure, OutcomeUnknown):
            await super().handle(command)
        raise failure


class World:
    """A log, its alarm list and what runs on them, from the beginning of time."""

    def __init__(self) -> None:
        self.events = Events()
        self.log = MemoryLog("log", self.events)
        self.handler = Handler(self.log)
        self.alarms, self.checkpoints = MemoryAlarmList(), MemoryCheckpoints()
        self.model = AlarmModel(
            self.alarms, self.checkpoints, MemoryAlarmRebuild(self.alarms, self.checkpoints)
        )
        self.leases = MemoryLeases(asyncio.get_running_loop().time)
        self.ids = CountedIds()
        self.moved = asyncio.Event()
        self.clock = LoopClock(BEGINNING)
        self.follow_failures: list[Exception] = []

    async def follow(self, after: int) -> AsyncIterator[Sequence[Event]]:
        while True:
            moved = self.moved
            page = await self.log.read(after, 3)
            if self.follow_failures:
                raise self.follow_failures.pop(0)
            if page.events:
                yield page.events
                after = page.events[-1].position
            else:
                await moved.wait()

    def worker(
        self, holder: str = "a", *, follow: Follow | None = None, leases: Leases | None = None
    ) -> Deadlines:
        sources = ShelfSources(self.log, follow or self.follow, self.model)
        standing = candidate(leases or self.leases, holder)
        return Deadlines(sources, self.handler, self.clock, self.ids, standing)

    async def shelve(self, source: str, seconds: float) -> Event:
        about: dict[str, Any] = {"alarm_id": Identity("default", source, "pressure").alarm_id}
        await self.do(
            Raise(context=self.context(), identity=Identity("default", source, "pressure"), severity="major")
        )
        return await self.do(Shelve(context=self.context(), **about, seconds=seconds, max_seconds=10**6))

    async def do(self, command: Command) -> Event:
        outcome = await self.handler.handle(command)
        self.moved.set()
        self.moved = asyncio.Event()
        return outcome.event or self.events.all[-1]

    def context(self) -> Context:
        return Context(
            event_id=self.ids.new(),
            tenant="default",
            actor=Actor("olga", "operator"),
            now=self.clock.now(),
        )

    async def project(self) -> None:
        """Bring the alarm list up to the log's end."""
        await self.alarms.write({event.stream: event.alarm for event in self.events.all})
        tail = await self.log.tail()
        lease = Lease("projector", "p", 1)
        assert await self.checkpoints.advance(PROJECTION, lease, Checkpoint(tail.position, tail.event_id, 0))

    def ends(self) -> list[tuple[str, float]]:
        """Which alarm was unshelved by expiry, and when, in seconds."""
        expired = [event for event in self.events.all if event.data.get("cause") == "expired"]
        return [(event.alarm.source, (event.at - BEGINNING).total_seconds()) for event in expired]


def test_a_shelf_that_begins_while_it_runs_ends_on_time() -> None:
    async def test() -> None:
        world = World()
        async with running(world.worker()):
            await asyncio.sleep(5)
            await world.shelve("a", 30)
            await world.shelve("b", 7.25)
            await asyncio.sleep(100)
        assert world.ends() == [("b", 12.25), ("a", 35)]
        event = world.events.all[-1]
        assert event.fact == Unshelved(cause="expired")
        assert event.actor == Actor("deadlines", "system")
        assert event.alarm.state == "unacked"

    run(test)


def test_shelves_from_before_the_leaders_term_end_too_and_overdue_ones_at_once() -> None:
    async def test() -> None:
        world = World()
        await world.shelve("a", 10)
        await world.shelve("b", 200)
        await world.project()
        await world.shelve("c", 20)
        await asyncio.sleep(50)
        async with running(world.worker()):
            await asyncio.sleep(300)
        assert world.ends() == [("a", 50), ("c", 50), ("b", 200)]

    run(test)


def test_shelves_in_the_list_are_not_read_from_the_log() -> None:
    async def test() -> None:
        world = World()
        await world.shelve("a", 10)
        await world.project()
        begins: list[int] = []

        async def follow(after: int) -> AsyncIterator[Sequence[Event]]:
            begins.append(after)
            async for batch in world.follow(after):
                yield batch

        async with running(world.worker(follow=follow)):
            await asyncio.sleep(20)
        assert begins == [2]
        assert world.ends() == [("a", 10)]

    run(test)


def test_a_renewed_shelf_ends_once_and_an_ended_one_not_again() -> None:
    async def test() -> None:
        world = World()
        async with running(world.worker()):
            for source in ("a", "b"):
                shelved = await world.shelve(source, 10)
                await world.do(Unshelve(context=world.context(), alarm_id=shelved.stream))
            again = Shelve(
                context=world.context(), alarm_id=world.events.all[0].stream, seconds=25, max_seconds=60
            )
            await world.do(again)
            await asyncio.sleep(100)
        assert world.ends() == [("a", 25)]
        assert len(world.handler.expiries) == 1

    run(test)


def test_the_worker_sleeps_until_the_earliest_end_and_asks_nothing_meanwhile() -> None:
    async def test() -> None:
        world = World()
        async with running(world.worker()):
            await world.shelve("a", 10 * SLEEP_SECONDS)
            await asyncio.sleep(1)
            before = world.clock.looks
            await asyncio.sleep(9 * SLEEP_SECONDS)
            # Two looks at the clock each time it wakes, and it wakes once in the longest sleep.
            assert world.clock.looks - before <= 2 * 10
            await asyncio.sleep(2 * SLEEP_SECONDS)
        assert world.ends() == [("a", 10 * SLEEP_SECONDS)]

    run(test)


def test_a_clock_that_was_set_ahead_is_noticed() -> None:
    async def test() -> None:
        world = World()
        async with running(world.worker()):
            await world.shelve("a", 5_000)
            await asyncio.sleep(1)
            world.clock.ahead = 6_000
            await asyncio.sleep(SLEEP_SECONDS)
            assert len(world.ends()) == 1

    run(test)


@pytest.mark.parametrize("failure", [Unavailable("away"), OutcomeUnknown("no answer")])
def test_while_the_log_is_away_an_end_is_tried_again_with_the_same_event_id(failure: Exception) -> None:
    async def test() -> None:
        world = World()
        world.handler.failures = [failure] * 20
        async with running(world.worker()):
            await world.shelve("a", 10)
            await asyncio.sleep(200)
        tries = world.handler.expiries
        assert len(tries) == 21
        assert len({command.context.event_id for command in tries}) == 1
        assert [source for source, _ in world.ends()] == ["a"]

    run(test)


def test_a_feed_that_breaks_is_followed_anew() -> None:
    async def test() -> None:
        world = World()
        world.follow_failures = [Unavailable("away")] * 3
        worker = world.worker()
        async with running(worker):
            await world.shelve("a", 10)
            await asyncio.sleep(60)
            assert worker.status == LEADING
        assert world.ends() == [("a", 10)]

    run(test)


def test_many_shelves_that_end_at_once_all_end() -> None:
    async def test() -> None:
        world = World()
        for number in range(2 * ENDED_AT_ONCE + 1):
            await world.shelve(f"line/{number}", 10)
        async with running(world.worker()):
            await asyncio.sleep(20)
        assert {source for source, _ in world.ends()} == {
            f"line/{number}" for number in range(2 * ENDED_AT_ONCE + 1)
        }

    run(test)


def test_the_next_leader_takes_over_what_the_first_left() -> None:
    async def test() -> None:
        world = World()
        first, second = world.worker("a"), world.worker("b")
        async with running(second):
            async with running(first):
                await world.shelve("a", 10)
                await world.shelve("b", 30)
                await asyncio.sleep(20)
                assert sorted([first.status, second.status]) == [LEADING, STANDBY]
            await asyncio.sleep(50)
        assert world.ends() == [("a", 10), ("b", 30)]

    run(test)


def test_two_leaders_at_once_end_a_shelf_once() -> None:
    async def test() -> None:
        world = World()
        first, second = world.worker("a"), world.worker("b", leases=MemoryLeases())
        async with running(first, second):
            await world.shelve("a", 10)
            await asyncio.sleep(20)
            assert (first.status, second.status) == (LEADING, LEADING)
        assert world.ends() == [("a", 10)]
        assert len(world.handler.expiries) == 2

    run(test)


def test_a_list_that_is_swapped_while_it_is_read_is_read_again() -> None:
    async def test() -> None:
        world = World()
        await world.shelve("a", 10)
        await world.project()
        reads: list[int] = []
        plain = world.alarms.shelved

        async def shelved() -> AsyncIterator[Sequence[Alarm]]:
            reads.append(len(reads))
            if len(reads) == 1:
                # An older list is put in place of the one that was to be read.
                shadow = await world.model.rebuild.begin()
                await world.model.rebuild.swap(shadow, Lease("projector", "q", 2), Checkpoint(0, "", 1))
            async for rows in plain():
                yield rows

        world.alarms.shelved = shelved  # type: ignore[method-assign]
        async with running(world.worker()):
            await asyncio.sleep(20)
        assert reads == [0, 1]
        assert world.ends() == [("a", 10)]

    run(test)


def test_a_list_of_another_log_is_not_followed_from() -> None:
    async def test() -> None:
        world = World()
        await world.shelve("a", 10)
        await world.project()
        entry = world.checkpoints.kept[PROJECTION]
        right = entry.checkpoint
        entry.checkpoint = replace(right, event_id="of another log")
        async with running(world.worker()):
            await asyncio.sleep(20)
            assert world.ends() == []
            entry.checkpoint = right
            await asyncio.sleep(20)
            assert len(world.ends()) == 1

    run(test)


def test_an_event_of_a_newer_version_stops_the_worker_and_it_says_so() -> None:
    async def test() -> None:
        world = World()
        await world.shelve("a", 10)
        world.events.all[1] = replace(world.events.all[1], v=2)
        worker = world.worker()
        await worker.run()
        assert worker.status == "stopped: event 2 is alarm.shelved v2, which this version does not know"
        assert await world.leases.acquire(DEADLINES_LEASE, "newer version", 1) is not None

    run(test)

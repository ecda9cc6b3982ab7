"""Leaders, stale leaders, crashes and replays in any interleaving of their writes: the view is the fold."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from adapters.memory.alarms import MemoryAlarmList
from adapters.memory.checkpoints import MemoryCheckpoints
from adapters.memory.leases import MemoryLeases
from adapters.memory.rebuild import MemoryAlarmRebuild
from core.alarm.alarm import Alarm
from core.alarm.events import Event, Snapshot
from core.application.leases import LEASE_SECONDS
from core.application.projections.alarms import PROJECTION, PROJECTOR_LEASE, AlarmModel
from core.application.projections.projector import Projector
from core.application.replay.alarms import replay_alarms
from core.application.replay.kept_lease import REPLAY_SECONDS
from core.application.workers.leader import Candidate
from core.coordination.ports import NO_CHECKPOINT, Checkpoint, Lease
from core.errors import StartupRefused
from core.lists.ports import Shadow
from core.log.folding import newest_events
from core.log.ports import START, Page, Stamp
from tests.kit.history import History

moves = st.tuples(st.sampled_from(["raised", "cleared", "acknowledged"]), st.sampled_from("abc"))

TURNS = 60
"""How many turns of the loop the longest way from one write to the next takes, and some."""


class Valve:
    """Lets one actor's writes through, one at a time or all of them."""

    def __init__(self) -> None:
        self.open = False
        self.waiting: asyncio.Future[None] | None = None

    def let_one_through(self) -> None:
        if self.waiting is not None:
            self.waiting.set_result(None)
            self.waiting = None


_valve: ContextVar[Valve] = ContextVar("valve")


async def pause() -> None:
    """Wait until the actor whose write this is may go on."""
    valve = _valve.get()
    if not valve.open:
        valve.waiting = asyncio.get_running_loop().create_future()
        await valve.waiting


class Alarms(MemoryAlarmList):
    async def write(self, rows: Mapping[str, Alarm]) -> None:
        await pause()
        await super().write(rows)


class Checkpoints(MemoryCheckpoints):
    async def advance(self, projection: str, lease: Lease, to: Checkpoint) -> bool:
        await pause()
        return await super().advance(projection, lease, to)

    async def fence(self, projection: str, lease: Lease) -> Checkpoint | None:
        await pause()
        return await super().fence(projection, lease)


class Rebuild(MemoryAlarmRebuild):
    async def begin(self) -> Shadow:
        await pause()
        return await super().begin()

    async def swap(self, shadow: Shadow, lease: Lease, to: Checkpoint) -> bool:
        await pause()
        return await super().swap(shadow, lease, to)

    async def _put_in_place(self, name: str) -> None:
        await pause()
        await super()._put_in_place(name)
        await pause()


@dataclass(frozen=True)
class Actor:
    """A leader or a replay, and the valve its writes go through."""

    task: asyncio.Task[None]
    valve: Valve
    leads: bool


class HistoryLog:
    """A history as a log to read and to follow."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.grown = asyncio.Event()
        self.batch = 2

    async def read(self, after: int, limit: int) -> Page:
        return Page(self.history.events[after : after + limit], None)

    async def recorded(self, after: int, limit: int) -> Sequence[Event]:
        return self.history.events[after : after + limit]

    async def newest(self, stream: str) -> Event | None:
        return newest_events(list(self.history.events)).get(stream)

    async def stream(self, stream: str, after: int, limit: int) -> Sequence[Event]:
        of_stream = [event for event in self.history.events if event.stream == stream]
        return of_stream[after : after + limit]

    async def newest_of_all(self) -> AsyncIterator[Sequence[Snapshot]]:
        for event in newest_events(list(self.history.events)).values():
            yield [event.snapshot]

    async def tail(self) -> Stamp:
        return await self.stamp(len(self.history.events)) or START

    async def stamp(self, position: int) -> Stamp | None:
        if not 0 < position <= len(self.history.events):
            return None
        event = self.history.events[position - 1]
        return Stamp(position, event.event_id, event.at)

    async def identity(self) -> str:
        return "a-log"

    async def follow(self, after: int) -> AsyncIterator[Sequence[Event]]:
        while True:
            grown = self.grown
            batch = self.history.events[after : after + self.batch]
            if batch:
                yield batch
                after += len(batch)
            else:
                await grown.wait()

    def grow(self) -> None:
        grown, self.grown = self.grown, asyncio.Event()
        grown.set()


class ProjectorMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.patched = ExitStack()
        self.patched.enter_context(patch("core.application.projections.alarms.PACE_SECONDS", 0.0))
        self.patched.enter_context(patch("core.application.projections.projector.LONGEST_REST_SECONDS", 0.0))
        self.loop = asyncio.new_event_loop()
        self.time = 0.0
        self.told = NO_CHECKPOINT
        self.actors: list[Actor] = []
        self.started = 0
        self.history = History()
        self.log = HistoryLog(self.history)
        self.alarms, self.checkpoints = Alarms(), Checkpoints()
        self.model = AlarmModel(self.alarms, self.checkpoints, Rebuild(self.alarms, self.checkpoints))
        self.leases = MemoryLeases(lambda: self.time)

    @rule(moves=st.lists(moves, min_size=1, max_size=4))
    def record(self, moves: list[tuple[str, str]]) -> None:
        for move, source in moves:
            getattr(self.history, move)(source)
        self.log.grow()
        self.settle()

    @rule(size=st.integers(1, 5))
    def deliver_in_batches_of(self, size: int) -> None:
        self.log.batch = size

    @precondition(lambda self: len(self.leaders) < 2)
    @rule()
    def lead(self) -> None:
        """One more leader; the lease of the one before has run out, and it sleeps or doesn't know yet."""
        self.start(open_valve=False)

    @precondition(lambda self: not self.replays)
    @rule(newest=st.booleans())
    def replay(self, newest: bool) -> None:
        self.start_replay(newest=newest)

    @precondition(lambda self: len(self.replays) == 1)
    @rule(newest=st.booleans())
    def replay_while_another_sleeps(self, newest: bool) -> None:
        self.start_replay(newest=newest)

    @precondition(lambda self: self.leaders)
    @rule(data=st.data(), writes=st.integers(1, 5))
    def lead_on(self, data: st.DataObject, writes: int) -> None:
        self.let_through(data.draw(st.sampled_from(self.leaders)), writes)

    @precondition(lambda self: self.replays)
    @rule(data=st.data(), writes=st.integers(1, 5))
    def replay_on(self, data: st.DataObject, writes: int) -> None:
        self.let_through(data.draw(st.sampled_from(self.replays)), writes)

    @precondition(lambda self: len(self.actors) > 2)
    @rule(data=st.data())
    def crash(self, data: st.DataObject) -> None:
        data.draw(st.sampled_from(self.actors)).task.cancel()
        self.settle()

    @invariant()
    def every_row_is_its_alarm_as_it_stood_at_the_rows_position(self) -> None:
        for row in self.alarms.rows.values():
            event = self.history.events[row.position - 1]
            assert (event.stream, event.alarm) == (row.id, row)

    @invariant()
    def the_list_holds_all_that_the_checkpoint_says(self) -> None:
        checkpoint = self.checkpoint()
        for stream, alarm in self.history.fold(checkpoint.position).items():
            assert self.alarms.rows[stream].position >= alarm.position

    @invariant()
    def readers_are_never_told_less_than_before(self) -> None:
        before, self.told = self.told, self.checkpoint()
        assert self.told.generation >= before.generation
        assert self.told.position >= before.position

    def teardown(self) -> None:
        try:
            self.kill_all()
            self.start(open_valve=True)
            for _ in range(len(self.history.events) + 1):
                self.settle()
            assert self.checkpoint().position == len(self.history.events)
            assert self.alarms.rows == self.history.fold()
        finally:
            self.kill_all()
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
            self.loop.close()
            self.patched.close()

    @property
    def leaders(self) -> list[Actor]:
        return [actor for actor in self.actors if actor.leads]

    @property
    def replays(self) -> list[Actor]:
        return [actor for actor in self.actors if not actor.leads]

    def start(self, *, open_valve: bool) -> None:
        self.time += LEASE_SECONDS + 1
        valve = Valve()
        valve.open = open_valve
        self.act(self.leading(f"leader {self.started}"), valve, leads=True)

    def start_replay(self, *, newest: bool) -> None:
        self.time += REPLAY_SECONDS + 1
        self.act(self.replaying(f"replay {self.started}", newest=newest), Valve(), leads=False)

    def act(self, work: Coroutine[Any, Any, None], valve: Valve, *, leads: bool) -> None:
        async def actor() -> None:
            _valve.set(valve)
            await work

        self.started += 1
        self.actors.append(Actor(self.loop.create_task(actor()), valve, leads))
        self.settle()

    def let_through(self, actor: Actor, writes: int) -> None:
        for _ in range(writes):
            actor.valve.let_one_through()
            self.settle()

    async def leading(self, holder: str) -> None:
        lease = await self.leases.acquire(PROJECTOR_LEASE, holder, LEASE_SECONDS)
        assert lease is not None
        candidate = Candidate(self.leases, holder, lambda: 0.0)
        # What a model has taken in is its leader's alone.
        await Projector(self.log, self.log.follow, replace(self.model), candidate).work(lease)

    async def replaying(self, holder: str, *, newest: bool) -> None:
        with suppress(StartupRefused):
            await replay_alarms(self.log, self.model, self.leases, holder, newest=newest)

    def settle(self) -> None:
        """Let everyone go on up to its next write; who is done leaves, and what it raised is raised."""

        async def turns() -> None:
            for _ in range(TURNS):
                await asyncio.sleep(0)

        self.loop.run_until_complete(turns())
        done = [actor.task for actor in self.actors if actor.task.done()]
        self.actors = [actor for actor in self.actors if not actor.task.done()]
        for task in done:
            if not task.cancelled():
                task.result()

    def kill_all(self) -> None:
        for actor in self.actors:
            actor.task.cancel()
        self.settle()

    def checkpoint(self) -> Checkpoint:
        return self.loop.run_until_complete(self.checkpoints.load(PROJECTION))


TestProjectorMachine = ProjectorMachine.TestCase


@pytest.fixture
def machine() -> Iterator[ProjectorMachine]:
    """A leader that has projected one event, and a replay about to begin."""
    made = ProjectorMachine()
    made.record([("raised", "a")])
    made.lead()
    made.let_through(made.leaders[0], 2)
    made.start_replay(newest=False)
    yield made
    made.teardown()


def check(machine: ProjectorMachine) -> None:
    machine.every_row_is_its_alarm_as_it_stood_at_the_rows_position()
    machine.the_list_holds_all_that_the_checkpoint_says()
    machine.readers_are_never_told_less_than_before()


@pytest.mark.parametrize("permits", [1, 2])
def test_what_a_leader_projects_while_a_replay_prepares_its_swap_is_not_taken_back(
    machine: ProjectorMachine, permits: int
) -> None:
    (leader,), (replay,) = machine.leaders, machine.replays
    machine.let_through(replay, permits)
    machine.record([("cleared", "a")])
    machine.let_through(leader, 2)
    check(machine)
    for _ in range(8):
        machine.let_through(replay, 1)
        check(machine)
    assert machine.told.generation == 1


@pytest.mark.parametrize("permits", [0, 1, 2, 3])
def test_a_leader_cannot_move_the_checkpoint_past_rows_that_a_swap_replaced(
    machine: ProjectorMachine, permits: int
) -> None:
    (replay,) = machine.replays
    machine.let_through(replay, 2)
    machine.lead()
    later = machine.leaders[-1]
    machine.record([("cleared", "a")])
    machine.let_through(later, 1)
    # The swap is now as far as it gets in so many writes, and the rows went into the list of before.
    machine.let_through(replay, permits)
    machine.let_through(later, 1)
    check(machine)
    for _ in range(3):
        machine.let_through(replay, 1)
        check(machine)

"""The projector under its lease, on a real MongoDB, following what it reads there."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace

import pytest
import pytest_asyncio

from adapters.memory.checkpoints import MemoryCheckpoints
from adapters.memory.leases import MemoryLeases
from adapters.memory.log import MemoryLog
from adapters.mongo.alarms.alarm_list import MongoAlarmList
from adapters.mongo.client import Database
from adapters.mongo.log.store import EVENTS
from core.alarm.alarm import Alarm
from core.alarm.events import Event
from core.application.ports import ReadModelNames
from core.application.projections.alarms import PROJECTION, PROJECTOR_LEASE
from core.application.projections.projector import LONGEST_REST_SECONDS, Projector, rest
from core.application.workers.leader import LEADING, STANDBY
from core.coordination.ports import Checkpoint, Lease
from core.errors import Unavailable
from core.log.ports import StreamReader
from tests.kit.alarm_storage import AlarmStorage
from tests.kit.history import History
from tests.kit.hosts import candidate
from tests.kit.waiting import eventually
from tests.kit.workers import running

SECONDS = 10


class Storage(AlarmStorage):
    async def follow(self, after: int) -> AsyncIterator[Sequence[Event]]:
        while True:
            page = await self.log.read(after, 7)
            if page.events:
                yield page.events
                after = page.events[-1].position
            else:
                await asyncio.sleep(0.005)

    async def position(self) -> int:
        return (await self.model.checkpoints.load(PROJECTION)).position

    async def reached(self, position: int) -> None:
        async with asyncio.timeout(SECONDS):
            while await self.position() != position:
                await asyncio.sleep(0.005)

    def projector(self, holder: str) -> Projector:
        return Projector(self.log, self.follow, replace(self.model), candidate(self.leases, holder))


@pytest_asyncio.fixture
async def storage(connected: Database) -> Storage:
    made = Storage(connected)
    await made.log.create()
    await made.alarms.create()
    return made


def history_of(sources: int) -> History:
    history = History()
    for number in range(sources):
        history.raised(f"line/{number}")
        history.cleared(f"line/{number // 2}")
    return history


async def test_the_projector_makes_the_list_and_goes_on_with_it(storage: Storage) -> None:
    history = history_of(20)
    await storage.plant(history.events[:10])
    projector = storage.projector("a")
    async with running(projector):
        await storage.reached(10)
        assert projector.status == LEADING
        await storage.plant(history.events[10:])
        await storage.reached(len(history.events))
    assert await storage.rows() == history.fold()


async def test_one_of_two_leads_and_the_other_takes_over_as_soon_as_it_stops(storage: Storage) -> None:
    history = history_of(20)
    first, second = storage.projector("a"), storage.projector("b")
    async with running(first):
        await eventually("first leads", lambda: first.status == LEADING)
        async with running(second):
            await storage.plant(history.events[:10])
            await storage.reached(10)
            assert second.status == STANDBY
            assert first.status == LEADING
    async with running(second):
        await eventually("second leads", lambda: second.status == LEADING)
        await storage.plant(history.events[10:])
        await storage.reached(len(history.events))
    assert await storage.rows() == history.fold()


class FailingAlarms(MongoAlarmList):
    """A list whose every other write does not arrive."""

    def __init__(self, connected: Database) -> None:
        super().__init__(connected)
        self.writes = 0

    async def write(self, rows: Mapping[str, Alarm]) -> None:
        self.writes += 1
        if self.writes % 2:
            raise Unavailable("the connection was lost")
        await super().write(rows)


async def test_no_checkpoint_is_written_before_its_rows(storage: Storage) -> None:
    history = history_of(20)
    failing = FailingAlarms(storage.connected)
    storage.model = replace(storage.model, alarms=failing)
    async with running(storage.projector("a")):
        for start in range(0, len(history.events), 5):
            planted = history.events[start : start + 5]
            await storage.plant(planted)
            await storage.reached(planted[-1].position)
            assert await storage.rows() == history.fold(planted[-1].position)
    assert failing.writes > 4


async def test_stopping_lets_go_of_the_lease(storage: Storage) -> None:
    projector = storage.projector("a")
    async with running(projector):
        await eventually("it leads", lambda: projector.status == LEADING)
    assert projector.status == STANDBY
    assert await storage.leases.acquire(PROJECTOR_LEASE, "b", 1) is not None


async def test_a_leader_whose_lease_was_taken_over_stands_by(storage: Storage) -> None:
    projector = storage.projector("a")
    async with running(projector):
        await eventually("it leads", lambda: projector.status == LEADING)
        await storage.leases.take_over(PROJECTOR_LEASE, "b", 60)
        await eventually("it stands by", lambda: projector.status == STANDBY)


async def test_an_event_of_a_newer_version_stops_the_projector_and_it_says_so(
    storage: Storage, caplog: pytest.LogCaptureFixture
) -> None:
    history = history_of(10)
    await storage.plant(history.events)
    await storage.connected[EVENTS].update_one({"_id": 9}, {"$set": {"v": 2}})
    projector = storage.projector("a")
    async with asyncio.timeout(SECONDS):
        await projector.run()
    assert projector.status == "stopped: event 9 is alarm.raised v2, which this version does not know"
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == [
        f"projector {projector.status}"
    ]
    assert await storage.position() == 7
    assert await storage.leases.acquire(PROJECTOR_LEASE, "newer version", 1) is not None


async def test_a_checkpoint_of_another_log_starts_over_with_an_empty_list(storage: Storage) -> None:
    history = history_of(10)
    await storage.plant(history.events)
    await storage.alarms.write({"stray": Alarm.absent("stray")})
    lease = Lease(PROJECTOR_LEASE, "old", 0)
    assert await storage.model.checkpoints.advance(PROJECTION, lease, Checkpoint(5, "of another log", 0))
    async with running(storage.projector("a")):
        await storage.reached(len(history.events))
    assert await storage.rows() == history.fold()
    assert (await storage.model.checkpoints.load(PROJECTION)).generation == 1


async def test_a_log_that_is_replaced_under_a_running_projector_is_noticed_when_told(
    storage: Storage,
) -> None:
    old, new = history_of(10), History()
    await storage.plant(old.events)
    for number in range(30):
        new.raised(f"other/{number}")
    projector = storage.projector("a")
    async with running(projector):
        await storage.reached(len(old.events))
        await storage.connected[EVENTS].delete_many({})
        await storage.plant(new.events)
        await storage.connected[EVENTS].update_many(
            {}, [{"$set": {"event_id": {"$concat": ["n", "$event_id"]}}}]
        )
        projector.log_replaced()
        await storage.reached(30)
    assert await storage.rows() == new.fold()


async def test_a_gap_in_what_is_followed_is_read_again(storage: Storage) -> None:
    history = history_of(10)
    await storage.plant(history.events)
    opened: list[int] = []

    async def follow(after: int) -> AsyncIterator[Sequence[Event]]:
        opened.append(after)
        if len(opened) == 1:
            yield history.events[after : after + 3]
            yield history.events[after + 5 :]
        async for events in storage.follow(after):
            yield events

    async with running(Projector(storage.log, follow, storage.model, candidate(storage.leases))):
        await storage.reached(len(history.events))
    assert opened == [0, 3]
    assert await storage.rows() == history.fold()


@pytest.mark.parametrize(
    ("took", "pause"),
    [(0.0, 0.05), (0.01, 0.04), (0.025, 0.025), (0.04, 0.04), (0.2, 0.2), (30.0, LONGEST_REST_SECONDS)],
)
def test_the_projector_rests_as_long_as_a_slow_batch_took(took: float, pause: float) -> None:
    assert rest(took, pace=0.05) == pytest.approx(pause)


class SlowModel:
    """A read model that is stored once a minute; it tells what it has taken in and what is stored."""

    names = ReadModelNames("slow", "slow projector")

    def __init__(self) -> None:
        self.checkpoints = MemoryCheckpoints()
        self.taken: list[int] = []
        self.stored: list[int] = []

    async def take(self, _log: StreamReader, events: Sequence[Event], _generation: int) -> None:
        self.taken += [event.position for event in events]

    async def store(self) -> float:
        self.stored = [*self.taken]
        return 60.0

    async def settle(self) -> None:
        self.taken = [*self.stored]

    async def start_over(self, lease: Lease, at: Checkpoint) -> None:
        raise AssertionError("the log is the same")


async def projecting(model: SlowModel, events: Sequence[Event], done: Callable[[], bool]) -> None:
    """Project the events, which come one after the other, until it is done."""

    async def follow(_after: int) -> AsyncIterator[Sequence[Event]]:
        for event in events:
            yield [event]
        await asyncio.Event().wait()

    async with running(Projector(MemoryLog("a-log"), follow, model, candidate(MemoryLeases()))):
        await eventually("it is done", done)


async def test_what_comes_during_a_long_rest_is_taken_in_at_once_and_stored_later() -> None:
    model, events = SlowModel(), history_of(2).events
    await projecting(model, events, lambda: len(model.taken) == len(events))
    assert model.stored == [1]
    assert (await model.checkpoints.load("slow")).position == 1


async def test_however_long_the_rest_only_so_many_events_wait_to_be_stored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("core.application.projections.projector.GATHERED_EVENTS", 2)
    model, events = SlowModel(), history_of(2).events
    await projecting(model, events, lambda: len(model.stored) >= 3)
    assert model.stored[:3] == [1, 2, 3]

"""Replaying, checking and verifying on a real log, while it is written and projected."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from msgspec.structs import replace

from adapters.mongo.alarms.alarm_list import ALARMS
from adapters.mongo.alarms.rebuild import SHADOWS
from adapters.mongo.client import Database
from adapters.mongo.coordination.leases import LEASES, MongoLeases
from adapters.mongo.log.doorbell import ChangeStreamDoorbell
from adapters.mongo.log.store import EVENTS
from core.alarm.alarm import Alarm
from core.alarm.events import SCHEMA_VERSION, Event
from core.application.feed import Feed
from core.application.projections.alarms import PROJECTION, PROJECTOR_LEASE
from core.application.projections.projector import Projector
from core.application.replay.alarms import REPLAY_LEASE, replay_alarms
from core.application.replay.checking import Difference, check_alarms, verify
from core.coordination.ports import Checkpoint, Lease
from core.errors import LogMismatch, StartupRefused
from tests.kit.alarm_storage import AlarmStorage
from tests.kit.history import History
from tests.kit.hosts import HOST, candidate

SOURCES = [f"line/{number}" for number in range(100)]
SECONDS = 20


class Storage(AlarmStorage):
    async def project(self, events: Sequence[Event], rows: dict[str, Alarm]) -> None:
        await self.alarms.write(rows)
        to = Checkpoint(events[-1].position, events[-1].event_id, 0)
        assert await self.model.checkpoints.advance(PROJECTION, Lease(PROJECTOR_LEASE, "a", 0), to)

    async def differences(self) -> list[Difference]:
        return [each async for each in check_alarms(self.log, self.model)]

    async def kinds(self) -> set[tuple[str, int]]:
        return {(finding.kind, finding.position) async for finding in verify(self.log)}

    async def shadows(self) -> list[str]:
        return [name for name in await self.connected.list_collection_names() if name.startswith(SHADOWS)]

    async def reached(self, position: int) -> None:
        async with asyncio.timeout(SECONDS):
            while (await self.model.checkpoints.load(PROJECTION)).position < position:
                await asyncio.sleep(0.005)


@pytest_asyncio.fixture
async def storage(connected: Database) -> Storage:
    made = Storage(connected)
    await made.log.create()
    await made.alarms.create()
    return made


@asynccontextmanager
async def projecting(storage: Storage, holder: str = "projector") -> AsyncIterator[Projector]:
    feed = Feed(storage.log, ChangeStreamDoorbell(storage.connected), HOST.chance)
    await feed.start()
    projector = Projector(storage.log, feed.follow, storage.model, candidate(storage.leases, holder))
    async with storage.log.running(feed.hear), asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(feed.run()), tasks.create_task(projector.run())]
        yield projector
        for task in running:
            task.cancel()


def long_history(rounds: int = 30) -> History:
    history = History()
    for number in range(rounds):
        for source in SOURCES:
            history.raised(source, "critical" if number % 4 else "minor", f"round {number}")
            if number % 3 == 0:
                history.cleared(source)
    return history


async def append(storage: Storage, history: History, rounds: int) -> None:
    """Append as the server does, each source its own alarm; the history goes on with it."""
    before = dict(history.alarms)
    first = len(history.events)
    for number in range(rounds):
        for source in SOURCES:
            history.raised(source, "major", f"later {number}")
            history.cleared(source)
    streams: dict[str, list[Event]] = {}
    for event in history.events[first:]:
        streams.setdefault(event.stream, []).append(event)

    async def one(stream: str) -> None:
        alarm = before.get(stream) or Alarm.absent(stream)
        for event in streams[stream]:
            alarm = (await storage.log.append(alarm, event)).alarm

    await asyncio.gather(*(one(stream) for stream in streams))


async def test_a_replay_makes_the_list_what_the_log_says(storage: Storage) -> None:
    history = long_history()
    await storage.plant(history.events)
    done: list[tuple[str, int, int]] = []
    position = await replay_alarms(
        storage.log, storage.model, storage.leases, "a", lambda *told: done.append(told)
    )
    assert await storage.rows() == history.fold()
    assert position == len(history.events)
    last = history.events[-1]
    assert await storage.model.checkpoints.load(PROJECTION) == Checkpoint(last.position, last.event_id, 1)
    folded = [told for told in done if told[0] == "folding events"]
    assert folded == sorted(folded)
    assert folded[-1][1:] == (position, position)
    assert done[-1] == ("indexing rows", len(SOURCES), 0)
    assert await storage.shadows() == []


async def test_a_replay_from_the_newest_snapshots_makes_the_same_list(storage: Storage) -> None:
    history = long_history()
    await storage.plant(history.events)
    await replay_alarms(storage.log, storage.model, storage.leases, "a", newest=True)
    assert await storage.rows() == history.fold()
    last = history.events[-1]
    assert await storage.model.checkpoints.load(PROJECTION) == Checkpoint(last.position, last.event_id, 1)


async def test_a_snapshot_of_an_earlier_version_is_folded_instead(storage: Storage) -> None:
    history = long_history(2)
    forged = [replace(e, v=SCHEMA_VERSION - 1, alarm=replace(e.alarm, text="of old")) for e in history.events]
    await storage.plant(forged)
    await replay_alarms(storage.log, storage.model, storage.leases, "a", newest=True)
    assert await storage.rows() == history.fold()


async def test_a_replay_mends_a_list_that_is_wrong(storage: Storage) -> None:
    history = long_history(2)
    await storage.plant(history.events)
    await storage.project(history.events, history.alarms)
    await storage.connected[ALARMS].update_many({}, {"$set": {"text": "forged"}})
    await storage.connected[ALARMS].delete_one({})
    await storage.alarms.write({"stray": Alarm.absent("stray")})
    await replay_alarms(storage.log, storage.model, storage.leases, "a")
    assert await storage.rows() == history.fold()


async def test_a_replay_of_an_empty_log_makes_an_empty_list(storage: Storage) -> None:
    await storage.alarms.write({"stray": Alarm.absent("stray")})
    await replay_alarms(storage.log, storage.model, storage.leases, "a")
    assert await storage.rows() == {}


async def test_a_list_ahead_of_a_log_that_was_restored_is_made_anew(storage: Storage) -> None:
    history = long_history(2)
    await storage.plant(history.events[:50])
    await storage.project(history.events, history.alarms)
    await replay_alarms(storage.log, storage.model, storage.leases, "a")
    assert await storage.rows() == history.fold(50)


async def test_a_log_with_a_gap_is_not_replayed(storage: Storage) -> None:
    history = long_history(2)
    await storage.plant([event for event in history.events if event.position != 7])
    with pytest.raises(LogMismatch, match="event 8 follows 6"):
        await replay_alarms(storage.log, storage.model, storage.leases, "a")


async def test_a_replay_under_load_swaps_in_a_list_without_anybody_noticing(storage: Storage) -> None:
    history = long_history()
    await storage.plant(history.events)
    stop = asyncio.Event()
    seen: list[int] = []

    async def read() -> None:
        while not stop.is_set():
            told = (await storage.model.checkpoints.load(PROJECTION)).position
            rows = await storage.rows()
            assert set(rows) == set(history.alarms)
            page = await storage.log.read(told - 100, 100)
            assert all(rows[event.stream].position >= event.position for event in page.events)
            seen.append(told)

    async with projecting(storage):
        await storage.reached(len(history.events))
        reading = asyncio.create_task(read())
        writing = asyncio.create_task(append(storage, history, 15))
        for number in range(3):
            await replay_alarms(storage.log, storage.model, storage.leases, f"replay {number}")
        await writing
        tail = await storage.log.tail()
        await storage.reached(tail.position)
        stop.set()
        await reading
        assert seen == sorted(seen)
        assert tail.position == len(history.events)
        assert await storage.differences() == []
        assert (await storage.model.checkpoints.load(PROJECTION)).generation == 3
    assert await storage.kinds() == set()


async def test_checking_while_the_list_moves_blames_no_row(storage: Storage) -> None:
    history = long_history(5)
    await storage.plant(history.events)
    async with projecting(storage):
        writing = asyncio.create_task(append(storage, history, 10))
        checks = 0
        while not writing.done():
            assert await storage.differences() == []
            checks += 1
        await writing
    assert checks > 0


class Died(Exception):
    pass


class KilledLeases(MongoLeases):
    """Leases of a process that is killed: it lets go of nothing."""

    async def release(self, lease: Lease) -> None:
        return


async def test_a_replay_that_was_killed_half_way_starts_clean(storage: Storage) -> None:
    history = long_history()
    await storage.plant(history.events)
    await storage.project(history.events[:50], {e.stream: e.alarm for e in history.events[:50]})
    before = await storage.rows()

    def die(what: str, _done: int, _total: int) -> None:
        if what == "writing rows":
            raise Died

    with suppress(Died):
        await replay_alarms(storage.log, storage.model, KilledLeases(storage.connected), "a", die)
    assert await storage.rows() == before
    assert len(await storage.shadows()) == 1
    with pytest.raises(StartupRefused, match="another replay"):
        await replay_alarms(storage.log, storage.model, storage.leases, "b")
    await storage.connected[LEASES].update_one({"_id": REPLAY_LEASE}, [{"$set": {"until": "$$NOW"}}])
    await replay_alarms(storage.log, storage.model, storage.leases, "b")
    assert await storage.rows() == history.fold()
    assert await storage.shadows() == []


async def test_two_replays_at_once_are_refused(storage: Storage) -> None:
    history = long_history(2)
    await storage.plant(history.events)
    second: list[asyncio.Task[Any]] = []

    def start_another(_what: str, _done: int, _total: int) -> None:
        if not second:
            second.append(asyncio.create_task(replay_alarms(storage.log, storage.model, storage.leases, "b")))

    await replay_alarms(storage.log, storage.model, storage.leases, "a", start_another)
    with pytest.raises(StartupRefused, match="another replay"):
        await second[0]
    assert await storage.rows() == history.fold()


async def test_checking_finds_each_planted_difference_and_changes_nothing(storage: Storage) -> None:
    history = long_history(2)
    await storage.plant(history.events)
    await storage.project(history.events, history.alarms)
    assert await storage.differences() == []
    forged, gone, late, ahead = (history.alarm_id(source) for source in SOURCES[:4])
    rows = storage.connected[ALARMS]
    await rows.update_one({"_id": forged}, {"$set": {"text": "forged"}})
    await rows.delete_one({"_id": gone})
    older = next(event for event in history.events if event.stream == late)
    await rows.update_one({"_id": late}, {"$set": {"position": older.position}})
    await rows.update_one({"_id": ahead}, {"$set": {"position": 10_000}})
    await storage.alarms.write({"stray": Alarm.absent("stray")})
    planted = await storage.rows()
    found = {each.alarm_id: each for each in await storage.differences()}
    text, position = history.alarms[forged].text, history.alarms[ahead].position
    assert found == {
        forged: Difference("differing", forged, {"text": (text, "forged")}),
        gone: Difference("missing", gone, {}),
        late: Difference("differing", late, {"position": (history.alarms[late].position, older.position)}),
        ahead: Difference("differing", ahead, {"position": (position, 10_000)}),
        "stray": Difference("extra", "stray", {}),
    }
    assert await storage.rows() == planted


async def test_checking_a_list_that_lags_behind_its_log_finds_nothing(storage: Storage) -> None:
    history = long_history(2)
    await storage.plant(history.events)
    await storage.project(history.events[:120], {e.stream: e.alarm for e in history.events[:120]})
    assert await storage.differences() == []


async def test_checking_sees_rows_beyond_the_checkpoint(storage: Storage) -> None:
    history = long_history(2)
    await storage.plant(history.events)
    await storage.project(history.events[:120], {e.stream: e.alarm for e in history.events[:120]})
    await storage.alarms.write(history.alarms)
    assert await storage.differences() == []
    forged = history.events[-1].stream
    await storage.connected[ALARMS].update_one({"_id": forged}, {"$set": {"text": "forged"}})
    (found,) = await storage.differences()
    assert (found.alarm_id, found.fields) == (forged, {"text": (history.alarms[forged].text, "forged")})


async def test_verifying_a_sound_log_finds_nothing(storage: Storage) -> None:
    await storage.plant(long_history(3).events)
    assert await storage.kinds() == set()


CORRUPTIONS: dict[str, Callable[[Event], dict[str, Any]]] = {
    "revision": lambda _: {"revision": 77},
    "snapshot": lambda _: {"alarm.text": "forged"},
    "time": lambda event: {"at": event.at - timedelta(days=2)},
}


@pytest.mark.parametrize("kind", CORRUPTIONS)
async def test_verifying_finds_a_planted_corruption(storage: Storage, kind: str) -> None:
    history = long_history(3)
    await storage.plant(history.events)
    change = {"$set": CORRUPTIONS[kind](history.events[41])}
    await storage.connected[EVENTS].update_one({"_id": 42}, change)
    assert (kind, 42) in await storage.kinds()


async def test_verifying_finds_a_missing_event(storage: Storage) -> None:
    await storage.plant(long_history(3).events)
    await storage.connected[EVENTS].delete_one({"_id": 42})
    assert ("position", 43) in await storage.kinds()


async def test_verifying_finds_an_event_id_that_is_there_twice(storage: Storage) -> None:
    history = long_history(3)
    await storage.plant(history.events)
    await storage.connected[EVENTS].drop_index("event_id")
    first = history.events[6].event_id
    await storage.connected[EVENTS].update_one({"_id": 42}, {"$set": {"event_id": first}})
    assert await storage.kinds() == {("event_id", 42)}

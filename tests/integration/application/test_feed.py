"""The feed on a real MongoDB: in order and without a gap, whatever happens to its change stream."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from adapters.mongo.client import Database, Document, connect
from adapters.mongo.codec import event_document
from adapters.mongo.log.doorbell import ChangeStreamDoorbell
from core.alarm.events import Event
from core.alarm.evolution import place
from core.application.feed import Feed, run_while_readable
from tests.kit.appending import append_large, appended, first_raise
from tests.kit.hosts import HOST
from tests.kit.mongologs import WritableLog
from tests.kit.replicasets import ReplicaSet
from tests.kit.waiting import eventually

SECONDS = 20.0


@asynccontextmanager
async def followed(database: Database) -> AsyncIterator[tuple[WritableLog, Feed, list[Event]]]:
    """Give a log that can be appended to, a running feed on it, and all that the feed has shown."""
    log, seen = WritableLog(database), list[Event]()
    await log.create()
    feed = Feed(log, ChangeStreamDoorbell(database), HOST.chance)
    await feed.start()
    feed.on_events(seen.extend, lambda: None)
    async with log.running(), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(feed.run())
        yield log, feed, seen
        running.cancel()


async def reached(feed: Feed, position: int) -> None:
    # Not by `follow`, which reads from the log itself what the feed has not come to.
    await eventually(f"the feed has reached {position}", lambda: feed.position >= position, SECONDS)


def positions(events: list[Event]) -> list[int]:
    return [event.position for event in events]


async def test_the_feed_shows_what_other_processes_append(connected: Database, mongodb_uri: str) -> None:
    other = connect(mongodb_uri, connected.name)
    async with followed(connected) as (log, feed, seen):
        elsewhere = WritableLog(other)
        async with elsewhere.running():
            await asyncio.gather(*(appended(each, 40) for each in (log, elsewhere)))
            await reached(feed, 80)
    other.client.close()
    assert positions(seen) == list(range(1, 81))


async def test_a_backlog_that_is_longer_than_a_batch_comes_whole(
    connected: Database, mongodb_uri: str
) -> None:
    other = connect(mongodb_uri, connected.name)
    async with followed(connected) as (_, feed, seen):
        elsewhere = WritableLog(other)
        async with elsewhere.running():
            await asyncio.gather(*(appended(elsewhere, 100) for _ in range(40)))
        await reached(feed, 4_000)
    other.client.close()
    assert positions(seen) == list(range(1, 4_001))


async def test_a_backlog_that_no_answer_can_hold_comes_whole(connected: Database) -> None:
    # 60 MB: an answer ends at 16 MiB, and the doorbell tells of none of them.
    log, seen = WritableLog(connected), list[Event]()
    await log.create()
    feed = Feed(log, ChangeStreamDoorbell(connected), HOST.chance)
    await feed.start()
    feed.on_events(seen.extend, lambda: None)
    async with log.running():
        await append_large(log, 1_200)
    # A change stream begins with the newest write, even if that was before it.
    await connected["other"].insert_one({})
    running = asyncio.create_task(feed.run())
    await reached(feed, 1_200)
    running.cancel()
    assert positions(seen) == list(range(1, 1_201))


async def test_the_bells_ring_on_after_an_event_that_only_a_newer_version_can_read(
    connected: Database,
) -> None:
    log = WritableLog(connected)
    await log.create()
    feed, drained = Feed(log, ChangeStreamDoorbell(connected), HOST.chance), Drained()
    await feed.start()
    keeping = asyncio.create_task(run_while_readable(feed, drained))
    async with log.running():
        await eventually("the change stream is open", lambda: feed.live, SECONDS)
        await connected["events"].insert_one(of_newer_version(1))
        await eventually("the feed has stopped", lambda: feed.stopped is not None, SECONDS)
        await connected["events"].insert_one(of_newer_version(2))
    await asyncio.wait_for(drained.begun.wait(), SECONDS)
    for number in range(2):
        rung = feed.bells.of("revocations")
        await connected["revocations"].insert_one({"_id": number})
        await asyncio.wait_for(rung.wait(), SECONDS)
    keeping.cancel()


class Drained:
    """Clients that are being sent away for as long as the test lasts."""

    draining = False

    def __init__(self) -> None:
        self.begun = asyncio.Event()

    async def drain(self) -> None:
        self.begun.set()
        await asyncio.Event().wait()


def of_newer_version(position: int) -> Document:
    document = event_document(place(*first_raise(), position, None))
    return {**document, "v": 99, "alarm": {"shape": "new"}}


async def test_a_killed_change_stream_is_opened_anew(connected: Database) -> None:
    async with followed(connected) as (log, feed, seen):
        await appended(log, 1)
        await reached(feed, 1)
        await eventually("the change stream is open", lambda: feed.live, SECONDS)
        killed = await kill_change_streams(connected)
        await appended(log, 5)
        await reached(feed, 6)
    assert killed
    assert positions(seen) == [1, 2, 3, 4, 5, 6]


async def kill_change_streams(database: Database) -> list[int]:
    """Kill the cursors of all change streams on the database; return their ids."""
    idle = {"$currentOp": {"idleCursors": True, "allUsers": True}}
    cursors: list[int] = []
    async with asyncio.timeout(SECONDS):
        while not cursors:
            found = await database.client.admin.aggregate([idle]).to_list(None)
            # While a getMore is awaited it may be shown under $cmd alone.
            streams = [op for op in found if op.get("ns", "").startswith(f"{database.name}.$cmd")]
            cursors = [op["cursor"]["cursorId"] for op in streams if "cursor" in op]
    await database.command({"killCursors": "$cmd.aggregate", "cursors": cursors})
    return cursors


async def test_a_feed_starts_at_the_tail_and_can_be_followed_from_anywhere(connected: Database) -> None:
    log = WritableLog(connected)
    await log.create()
    async with log.running():
        await appended(log, 10)
    async with followed(connected) as (again, feed, seen):
        assert feed.position == 10
        await appended(again, 2)
        async with asyncio.timeout(SECONDS):
            followed_from = []
            async for events in feed.follow(4):
                followed_from += positions(list(events))
                if followed_from[-1] == 12:
                    break
        await reached(feed, 12)
    assert followed_from == list(range(5, 13))
    assert positions(seen) == [11, 12]


async def test_a_replaced_log_starts_the_feed_over(connected: Database) -> None:
    log = WritableLog(connected)
    await log.create()
    feed = Feed(log, ChangeStreamDoorbell(connected), HOST.chance)
    await feed.start()
    first, was_reset = feed.identity, asyncio.Event()
    feed.on_reset(was_reset.set)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(feed.run())
        await connected["meta"].update_one({"_id": "log"}, {"$set": {"log": "another"}})
        async with asyncio.timeout(SECONDS):
            await was_reset.wait()
        running.cancel()
    assert (feed.identity, first) == ("another", first)
    assert first != "another"


@pytest.mark.faults
async def test_the_feed_goes_on_after_mongod_was_killed(replica_set: ReplicaSet, connected: Database) -> None:
    async with followed(connected) as (log, feed, seen):
        await appended(log, 3)
        replica_set.kill()
        replica_set.heal()
        await appended(log, 3)
        await reached(feed, 6)
    assert positions(seen) == [1, 2, 3, 4, 5, 6]

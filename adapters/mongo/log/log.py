"""The log of events on MongoDB: group commit on the way in, majority reads on the way out."""

import asyncio
import random
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress

from bson.raw_bson import RawBSONDocument
from pymongo import ASCENDING, DESCENDING

from adapters.mongo.client import Database, Document
from adapters.mongo.codec import event_of
from adapters.mongo.errors import retried
from adapters.mongo.log.batched_reads import BatchedReads
from adapters.mongo.log.courtesy import TURNS, Courtesy
from adapters.mongo.log.store import EVENTS, EventStore
from core.alarm.alarm import Alarm
from core.alarm.events import Event, Recorded, Snapshot
from core.backoff import backoff
from core.counters import AppendCounts
from core.errors import OutcomeUnknown, TocsinError, Unavailable
from core.log.appender import Appender, Submission
from core.log.ports import Page, Stamp

META = "meta"

APPEND_SECONDS = 5.0
"""How long a command waits for its event before it is told that it is unavailable or in doubt."""

PAUSE_SECONDS = 1.0
"""The longest pause between two tries of a store that does not answer."""


Committed = Callable[[int, Sequence[Event]], None]
"""Is told how far the log is known to be, and which events this process has added to it, in order."""


class MongoLog:
    """The event log in the `events` collection (see core.log.ports).

    Appending needs `running()`.
    """

    def __init__(self, database: Database, store: EventStore | None = None) -> None:
        self._database = database
        self._store = store or EventStore(database)
        self._appender: Appender[RawBSONDocument] = Appender(self._store, _pause)
        self._newest = BatchedReads(self._store.newest)
        self._queued = asyncio.Event()
        self._courtesy = Courtesy(database, self._waiting)

    @property
    def counts(self) -> AppendCounts:
        """What appending came to since the process started."""
        return self._appender.counts

    async def create(self) -> None:
        """Make the indexes and the log identity where they are missing. Raises Unavailable."""
        await self._store.create_indexes()
        await self.identity()

    @asynccontextmanager
    async def running(self, committed: Committed = lambda _position, _events: None) -> AsyncIterator[None]:
        """Append what is submitted for as long as the context lasts; tell `committed` after each write."""
        task = asyncio.create_task(self._run(committed), name="appender")
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def give_way(self, bell: Callable[[str], asyncio.Event]) -> None:
        """Hold back a moment, for ever, whenever another process that keeps losing the race asks for it.

        `bell` returns an event that is set when something changes in a collection.
        """
        while True:
            # Listen before looking: a request in between would be missed.
            rung = bell(TURNS)
            await self._courtesy.heed()
            await rung.wait()

    async def append(self, before: Alarm, event: Event) -> Event:
        """Append after the tail; see core.log.ports."""
        answer: asyncio.Future[Event | TocsinError] = asyncio.get_running_loop().create_future()

        def done(result: Event | TocsinError) -> None:
            if not answer.done():
                answer.set_result(result)

        submission = Submission(before, event, done, asyncio.get_running_loop().time())
        self._appender.submit(submission)
        self._queued.set()
        try:
            async with asyncio.timeout(APPEND_SECONDS):
                result = await answer
        except TimeoutError:
            if self._appender.withdraw(submission):
                raise Unavailable(f"the log could not be written for {APPEND_SECONDS:.0f} s") from None
            raise OutcomeUnknown("the write was sent and its answer did not come") from None
        if isinstance(result, Event):
            return result
        raise result

    def learn(self, events: Sequence[Event]) -> None:
        """Append behind these events, which the feed has shown to be majority-committed."""
        newest = events[-1]
        if newest.position > self._appender.tail:
            self._appender.learn(Stamp(newest.position, newest.event_id, newest.at))
            self._courtesy.saw(events)

    def forget(self) -> None:
        """Read the tail anew before the next append: the log was replaced."""
        self._appender.forget()

    async def read(self, after: int, limit: int) -> Page:
        """Return at most `limit` events of positions > after, and the operation time of the read."""
        return await self._store.read(after, limit)

    async def recorded(self, after: int, limit: int) -> Sequence[Recorded]:
        """Return at most `limit` events of positions > after, without their snapshots."""
        return await self._store.recorded(after, limit)

    async def of_tenant(self, tenant: str, after: int, limit: int) -> Sequence[Event]:
        """Return at most `limit` of the tenant's events of positions > after, in order, by their index."""
        condition = {"tenant": tenant, "_id": {"$gt": after}}
        found = await self._store.documents(condition, limit, hint="tenant_position")
        return [event_of(document) for document in found]

    async def newest(self, stream: str) -> Event | None:
        """Return the stream's newest event."""
        found = await self._newest.get(stream)
        return None if found is None else event_of(found)

    def newest_of_all(self) -> AsyncIterator[Sequence[Snapshot]]:
        """Yield each stream's newest snapshot, in pages."""
        return self._store.newest_of_all()

    async def stream(self, stream: str, after: int, limit: int) -> Sequence[Event]:
        """Return at most `limit` events of the stream with revisions > after, in order."""
        condition = {"stream": stream, "revision": {"$gt": after}}
        found = await self._store.documents(condition, limit, by="revision", direction=ASCENDING)
        return [event_of(document) for document in found]

    async def by_command(self, tenant: str, command_id: str) -> Event | None:
        """Return the event that was recorded with this Idempotency-Key."""
        return await self._store.by_command(tenant, command_id)

    async def stamp(self, position: int) -> Stamp | None:
        """Return the stamp of the event at the position, or None where there is none (yet)."""
        stamps = await self._store.stamps(position, 1)
        return stamps[0] if stamps and stamps[0].position == position else None

    async def tail(self) -> Stamp:
        """Return the newest event's stamp, START for an empty log."""
        return await self._store.tail()

    async def identity(self) -> str:
        """Return the log identity; made with the log, on first use."""
        fresh = {"$setOnInsert": {"log": str(uuid.uuid4())}}
        meta = self._database[META]
        found = await retried(lambda: meta.find_one({"_id": "log"}))
        if found is None:
            await retried(lambda: meta.update_one({"_id": "log"}, fresh, upsert=True))
            found = await retried(lambda: meta.find_one({"_id": "log"}))
        if found is None:
            raise Unavailable("the log identity cannot be read yet")
        return str(found["log"])

    async def glance(self) -> tuple[int, str]:
        """Return, in one read, the newest position and the log identity, "" if the log has none.

        On a standalone mongod a kill may undo that position: nothing may be placed behind it.
        """
        identity = {"coll": META, "pipeline": [{"$match": {"_id": "log"}}]}
        newest: list[Document] = [{"$sort": {"_id": DESCENDING}}, {"$limit": 1}, {"$project": {"_id": 1}}]
        pipeline = [*newest, {"$unionWith": identity}]
        found = await retried(lambda: self._database[EVENTS].aggregate(pipeline).to_list(2))
        positions = [document["_id"] for document in found if "log" not in document]
        return max(positions, default=0), next((each["log"] for each in found if "log" in each), "")

    async def reset_identity(self) -> str:
        """Give the log another identity: positions that anybody remembers mean nothing from now on."""
        fresh = str(uuid.uuid4())
        await retried(
            lambda: self._database[META].update_one({"_id": "log"}, {"$set": {"log": fresh}}, upsert=True)
        )
        return fresh

    async def _run(self, committed: Committed) -> None:
        now = asyncio.get_running_loop().time
        while True:
            await self._queued.wait()
            self._queued.clear()
            while self._appender.waiting:
                # One turn of the loop: whoever is ready to append goes out in the same command.
                await asyncio.sleep(0)
                await self._courtesy.wait()
                began = now()
                landed = await self._appender.flush()
                self._tried(now() - began)
                self.counts.seconds.observe(now() - began)
                committed(self._appender.tail, landed)

    def _tried(self, seconds: float) -> None:
        oldest = self._appender.oldest
        if self._appender.losing and oldest is not None:
            self._courtesy.lost(oldest.event.event_id, seconds)

    def _waiting(self) -> float:
        oldest = self._appender.oldest
        return 0.0 if oldest is None else asyncio.get_running_loop().time() - oldest.since


async def _pause(tries: int) -> None:
    await asyncio.sleep(backoff(tries, 0.01, PAUSE_SECONDS, random.random()))

"""The event log on MongoDB: its identity, and reads by majority."""

import uuid
from collections.abc import AsyncIterator, Sequence

from pymongo import ASCENDING, DESCENDING
from pymongo.errors import PyMongoError

from adapters.mongo.client import Database, Document
from adapters.mongo.codec import event_of
from adapters.mongo.errors import retried, unavailable
from adapters.mongo.log.batched_reads import BatchedReads
from adapters.mongo.log.store import EVENTS, NEWEST_BY_STREAM, EventStore
from adapters.mongo.mapping import mapped
from core.alarm.events import Event, Recorded, Snapshot
from core.errors import Unavailable
from core.log.ports import Page, Stamp

META = "meta"
PAGE_STREAMS = 2_000

# The server leaps from stream to stream within the index.
_STREAMS: list[Document] = [{"$sort": {"stream": 1, "revision": 1}}, {"$group": {"_id": "$stream"}}]


class MongoLog:
    """The event log in the `events` collection (see core.log.ports); core.application.appending writes it."""

    def __init__(self, database: Database, store: EventStore | None = None) -> None:
        self._database = database
        self._store = store or EventStore(database)
        self._newest = BatchedReads(self._store.newest)
        self._confirmed = BatchedReads(self._store.confirmed)

    async def create(self) -> None:
        """Create the indexes and the log identity if they are missing. Raises Unavailable."""
        await self._store.create_indexes()
        await self.identity()

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
        return await mapped(found, event_of)

    async def newest(self, stream: str) -> Event | None:
        """Return the stream's newest event."""
        found = await self._newest.get(stream)
        return None if found is None else event_of(found)

    async def confirmed(self, stream: str) -> Event | None:
        """Return the stream's newest event as of some moment of this call, whichever node is primary."""
        found = await self._confirmed.get(stream)
        return None if found is None else event_of(found)

    def newest_of_all(self) -> AsyncIterator[Sequence[Snapshot]]:
        """Yield each stream's newest snapshot, in pages."""
        return self._store.newest_of_all()

    async def streams(self) -> AsyncIterator[Sequence[str]]:
        """Yield the name of each stream, in pages."""
        cursor = self._database[EVENTS].aggregate(_STREAMS, hint=NEWEST_BY_STREAM, batchSize=PAGE_STREAMS)
        try:
            while found := await cursor.to_list(PAGE_STREAMS):
                yield [document["_id"] for document in found]
        except PyMongoError as error:
            raise unavailable(error) from error
        finally:
            await cursor.close()

    async def stream(self, stream: str, after: int, limit: int) -> Sequence[Event]:
        """Return at most `limit` events of the stream with revisions > after, in order."""
        condition = {"stream": stream, "revision": {"$gt": after}}
        found = await self._store.documents(condition, limit, by="revision", direction=ASCENDING)
        return await mapped(found, event_of)

    async def by_command(self, tenant: str, command_id: str) -> Event | None:
        """Return the event recorded with this Idempotency-Key as of some moment of this call."""
        return await self._store.confirmed_by_command(tenant, command_id)

    async def stamp(self, position: int) -> Stamp | None:
        """Return the stamp of the event at the position, or None where there is none (yet)."""
        stamps = await self._store.stamps(position, 1)
        return stamps[0] if stamps and stamps[0].position == position else None

    async def tail(self) -> Stamp:
        """Return the newest event's stamp, START for an empty log."""
        return await self._store.tail()

    async def identity(self) -> str:
        """Return the log identity, created on first use."""
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

        On a standalone mongod a kill may undo that position: nothing may be appended after it.
        """
        identity = {"coll": META, "pipeline": [{"$match": {"_id": "log"}}]}
        newest: list[Document] = [{"$sort": {"_id": DESCENDING}}, {"$limit": 1}, {"$project": {"_id": 1}}]
        pipeline = [*newest, {"$unionWith": identity}]
        found = await retried(lambda: self._database[EVENTS].aggregate(pipeline).to_list(2))
        positions = [document["_id"] for document in found if "log" not in document]
        return max(positions, default=0), next((each["log"] for each in found if "log" in each), "")

    async def reset_identity(self) -> str:
        """Give the log another identity and return it: remembered positions become meaningless."""
        fresh = str(uuid.uuid4())
        await retried(
            lambda: self._database[META].update_one({"_id": "log"}, {"$set": {"log": fresh}}, upsert=True)
        )
        return fresh

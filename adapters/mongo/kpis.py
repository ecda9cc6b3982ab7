"""The buckets of activity in `kpi_buckets`: one document for each tenant and ten minutes."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

import msgspec
from bson import Int64
from pymongo import ASCENDING, IndexModel

from adapters.mongo.client import CODEC, Database, Document
from adapters.mongo.errors import BULK_SECONDS, retried
from adapters.mongo.wire.commands import Commands, DriverCommands
from adapters.mongo.wire.rows import update_rows
from core.kpi.bucket import Bucket
from core.kpi.ports import BucketKey

BUCKETS = "kpi_buckets"
PAGE_BUCKETS = 24
REMOVED_AT_ONCE = 500
INDEXES = [
    IndexModel(
        [("generation", ASCENDING), ("tenant", ASCENDING), ("start", ASCENDING)],
        name="generation_tenant_start",
        unique=True,
    )
]


class MongoKpiBuckets:
    """The buckets (see core.kpi.ports.KpiBuckets)."""

    def __init__(self, database: Database, commands: Commands | None = None) -> None:
        self._commands = commands or DriverCommands(database)
        self._buckets = database.get_collection(BUCKETS, codec_options=CODEC)

    async def create(self) -> None:
        """Make sure the indexes exist. Raises Unavailable."""
        await retried(lambda: self._buckets.create_indexes(INDEXES), BULK_SECONDS)

    async def load(self, generation: int, keys: Sequence[BucketKey]) -> dict[BucketKey, Bucket]:
        """Return the buckets that exist."""
        if not keys:
            return {}
        condition = {"$or": [_key(generation, tenant, start) for tenant, start in keys]}
        found = await retried(lambda: self._buckets.find(condition).to_list(), BULK_SECONDS)
        buckets = [_bucket(document) for document in found]
        return {(bucket.tenant, bucket.start): bucket for bucket in buckets}

    async def write(self, generation: int, buckets: Sequence[Bucket]) -> None:
        """Write the buckets; a stored bucket at the same position or a later one stays."""
        collided = await retried(lambda: self._replace(generation, buckets, upsert=True), BULK_SECONDS)
        if collided:
            # Most collided with newer buckets. But of two leaders that insert a new bucket at once, the one
            # behind may have won: a plain replace corrects that.
            again = [buckets[index] for index in collided]
            await retried(lambda: self._replace(generation, again, upsert=False), BULK_SECONDS)

    async def period(
        self, generation: int, tenant: str, start: datetime, end: datetime
    ) -> AsyncIterator[Sequence[Bucket]]:
        """Yield a tenant's buckets that start in the period, in pages, in order."""
        while True:
            condition = {"generation": generation, "tenant": tenant, "start": {"$gte": start, "$lt": end}}
            found = await retried(lambda: self._page(condition))  # noqa: B023 (it runs before the next turn)
            if not found:
                return
            # Converting large buckets would hold up the event loop.
            buckets = await asyncio.to_thread(lambda documents: [*map(_bucket, documents)], found)
            yield buckets
            start = buckets[-1].start.replace(microsecond=1_000)

    async def drop(self, before: int) -> None:
        """Remove the buckets of all generations before this one."""
        await self._remove({"generation": {"$lt": before}})

    async def clear(self, generation: int) -> None:
        """Remove the buckets of one generation."""
        await self._remove({"generation": generation})

    async def _remove(self, condition: Document) -> None:
        # A few at a time: one command for years of buckets would outlast every timeout.
        while found := await retried(
            lambda: self._buckets.find(condition, {"_id": 1}, limit=REMOVED_AT_ONCE).to_list()
        ):
            ids = {"_id": {"$in": [document["_id"] for document in found]}}
            await retried(partial(self._buckets.delete_many, ids))

    async def _page(self, condition: Document) -> list[Document]:
        return await self._buckets.find(condition, sort=[("start", ASCENDING)], limit=PAGE_BUCKETS).to_list()

    async def _replace(self, generation: int, buckets: Sequence[Bucket], *, upsert: bool) -> Sequence[int]:
        """Replace buckets that are behind; return the indexes of those that collided."""
        updates = [
            {
                "q": {**_key(generation, bucket.tenant, bucket.start), "position": {"$lt": bucket.position}},
                "u": _document(generation, bucket),
                "upsert": upsert,
            }
            for bucket in buckets
        ]
        return await update_rows(self._commands, BUCKETS, updates)


def _key(generation: int, tenant: str, start: datetime) -> Document:
    return {"generation": generation, "tenant": tenant, "start": start}


def _document(generation: int, bucket: Bucket) -> Document:
    fields: Any = msgspec.to_builtins(bucket, builtin_types=(datetime,))
    return {**fields, "generation": Int64(generation), "position": Int64(bucket.position)}


def _bucket(document: Document) -> Bucket:
    document.pop("_id")
    document.pop("generation")
    return msgspec.convert({**document, "start": document["start"].replace(tzinfo=UTC)}, Bucket)

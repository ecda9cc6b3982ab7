"""The alarm list on MongoDB: one document per alarm, each write guarded by position."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Literal

import bson
from bson.raw_bson import RawBSONDocument
from motor.motor_asyncio import AsyncIOMotorCursor
from msgspec.structs import replace
from pymongo import ASCENDING, DESCENDING, IndexModel

from adapters.mongo.alarms.count_queries import counted, counts_of, hidden_active, stale
from adapters.mongo.alarms.list_queries import INDEXES as LIST_INDEXES
from adapters.mongo.alarms.list_queries import LAYOUT, Part, hint, parts, row_document
from adapters.mongo.client import CODEC, RAW, Database, Document
from adapters.mongo.codec import alarm_of
from adapters.mongo.errors import BULK_SECONDS, QUERY_MS, bounded, retried
from adapters.mongo.mapping import mapped
from adapters.mongo.wire.commands import Commands, DriverCommands
from adapters.mongo.wire.rows import insert_rows, update_rows
from core.alarm.alarm import Alarm
from core.lists.ports import AlarmCounts
from core.lists.query import STATE_ORDER, AlarmPage, AlarmQuery, page_of

ALARMS = "alarms"
SCAN_ROWS = 500
FIRST_ROWS = 100
"""How many rows a scan reads first; as many as fit a page later."""
SCAN_BYTES = 512 * 1024
"""How many bytes of stored rows a page of a scan has, besides the last row."""
PAGE_BYTES = 2 * 1024 * 1024
"""How many bytes of stored rows a page has, besides the last row."""
BATCH_ROWS = 200
"""How many rows one answer brings: those of a page that is cut were read for nothing."""

_BY_TENANT = "tenant_id"
_BY_SHELF_END = "shelved_until"
_BY_LAYOUT = "layout"
_ON_TIMED_SHELF = {"shelving": "timed"}
_OF_ANOTHER_LAYOUT = {"keys.layout": {"$ne": LAYOUT}}

INDEXES = [
    IndexModel([("tenant", ASCENDING), ("_id", ASCENDING)], name=_BY_TENANT),
    *LIST_INDEXES,
    IndexModel(
        [("shelved_until", ASCENDING), ("_id", ASCENDING)],
        name=_BY_SHELF_END,
        partialFilterExpression=_ON_TIMED_SHELF,
    ),
    # Every process looks for such rows when it starts. No change of a row touches this index.
    IndexModel([("keys.layout", ASCENDING)], name=_BY_LAYOUT),
]


class MongoAlarmList:
    """The read model `alarms` (see core.lists.ports.AlarmList); `collection` may name a shadow of it."""

    def __init__(
        self, database: Database, collection: str = ALARMS, commands: Commands | None = None
    ) -> None:
        self._name = collection
        self._commands = commands or DriverCommands(database)
        self._rows = database.get_collection(collection, codec_options=CODEC)
        self._raw_rows = database.get_collection(collection, codec_options=RAW)

    async def create(self) -> None:
        """Make sure the indexes exist, and rewrite rows of another layout. Raises Unavailable."""
        await retried(lambda: self._rows.create_indexes(INDEXES), BULK_SECONDS)
        while outdated := await retried(self._outdated, BULK_SECONDS):
            documents = [row_document(alarm_of(document)) for document in outdated]
            await retried(partial(self._replace, documents, "$lte", upsert=False), BULK_SECONDS)

    async def write(self, rows: Mapping[str, Alarm]) -> None:
        """Write the rows; a stored row at the same position or a later one stays."""
        documents = [row_document(alarm) for alarm in rows.values()]
        collided = await retried(lambda: self._replace(documents, "$lt", upsert=True), BULK_SECONDS)
        if collided:
            # Most collided with newer rows. But two leaders that insert a new alarm at once also collide,
            # and the older row may have won: a plain replace corrects that.
            await retried(lambda: self._replace(collided, "$lt", upsert=False), BULK_SECONDS)

    async def page(self, query: AlarmQuery) -> AlarmPage:
        """Return one page of the list, of about PAGE_BYTES at most. Raises TooBroad."""
        found: dict[str, Alarm] = {}
        room = PAGE_BYTES
        for part in () if query.is_empty else parts(query):
            rows, room = await self._listed(part, query.limit + 1 - len(found), hint(query), room)
            for alarm in await mapped(rows, _stored_alarm):
                # A row that moves meanwhile may come twice: its first place counts.
                found.setdefault(alarm.id, alarm)
            if room < 0:
                # The last row only shows that there is more, as one beyond the limit does.
                return page_of(replace(query, limit=len(found) - 1), list(found.values()))
            if len(found) > query.limit:
                break
        return page_of(query, list(found.values()))

    async def counts(self, query: AlarmQuery, stale_before: datetime, most: int) -> AlarmCounts:
        """Count the alarms that the query lists, by index. Raises TooBroad."""
        by_rank = await bounded(
            lambda: self._rows.aggregate(counted(query), maxTimeMS=QUERY_MS).to_list(len(STATE_ORDER) * 8)
        )
        hidden = await bounded(lambda: self._rows.count_documents(hidden_active(query), maxTimeMS=QUERY_MS))
        old = stale(query, stale_before)
        count = await bounded(lambda: self._rows.count_documents(old, maxTimeMS=QUERY_MS))
        order = [("keys.raised_at", DESCENDING)]
        oldest = await bounded(
            lambda: self._rows.find(old, sort=order, limit=most, max_time_ms=QUERY_MS).to_list()
        )
        return counts_of(by_rank, hidden, count, [alarm_of(document) for document in oldest])

    async def scan(self, tenant: str | None = None) -> AsyncIterator[Sequence[Alarm]]:
        """Yield all rows, or the tenant's, in pages, in order of id."""
        after, most = "", FIRST_ROWS
        while rows := await self._rows_after(tenant, after, most):
            yield rows
            after, most = rows[-1].id, min(2 * len(rows), SCAN_ROWS)

    async def shelved(self) -> AsyncIterator[Sequence[Alarm]]:
        """Yield all tenants' rows on a timed shelf, in pages, the earliest end first."""
        after: Alarm | None = None
        while True:
            rows = await self._shelved_after(after)
            if not rows:
                return
            yield rows
            after = rows[-1]

    async def _listed(
        self, part: Part, limit: int, index: str | None, room: int
    ) -> tuple[Sequence[RawBSONDocument], int]:
        """Return raw rows, up to one beyond the room, and the room left; below 0: there is more."""
        return await bounded(
            lambda: _within(
                self._raw_rows.find(
                    part.condition,
                    sort=part.ordering,
                    limit=limit,
                    batch_size=min(limit, BATCH_ROWS),
                    hint=index,
                    max_time_ms=QUERY_MS,
                    allow_disk_use=False,
                ),
                room,
            )
        )

    async def _outdated(self) -> Sequence[Document]:
        return await self._rows.find(_OF_ANOTHER_LAYOUT, limit=SCAN_ROWS, hint=_BY_LAYOUT).to_list()

    async def _shelved_after(self, after: Alarm | None) -> Sequence[Alarm]:
        condition: Document = dict(_ON_TIMED_SHELF)
        if after is not None:
            condition["shelved_until"] = {"$gte": after.shelved_until}
            condition["$nor"] = [{"shelved_until": after.shelved_until, "_id": {"$lte": after.id}}]
        order = [("shelved_until", ASCENDING), ("_id", ASCENDING)]
        found = await retried(
            lambda: self._rows.find(
                condition, sort=order, limit=SCAN_ROWS, batch_size=SCAN_ROWS, hint=_BY_SHELF_END
            ).to_list()
        )
        return [alarm_of(document) for document in found]

    async def _rows_after(self, tenant: str | None, after: str, most: int) -> Sequence[Alarm]:
        """Return at most `most` rows after the id, as many as SCAN_BYTES allow."""
        condition: Document = {"_id": {"$gt": after}}
        if tenant is not None:
            condition["tenant"] = tenant
        # A negative limit asks for one answer, of 16 MiB at most. What does not fit the page stays raw.
        found: Sequence[Any] = await retried(
            lambda: self._raw_rows.find(condition, sort=[("_id", ASCENDING)], limit=-most).to_list()
        )
        return [alarm_of(document) for document in _decoded(found, SCAN_BYTES)]

    async def _replace(
        self, documents: Sequence[Document], older: Literal["$lt", "$lte"], *, upsert: bool
    ) -> Sequence[Document]:
        """Replace older rows, and with `upsert` add missing ones; return those that collided."""
        # An alarm's first row: inserting it costs the server half as much as an upsert.
        first = [row for row in documents if upsert and row["revision"] == 1]
        others = [row for row in documents if not (upsert and row["revision"] == 1)]
        updates = [
            {"q": {"_id": row["_id"]}, "u": _replacement(row, older), "upsert": upsert} for row in others
        ]
        collided = [first[index] for index in await insert_rows(self._commands, self._name, first)]
        return [*collided, *(others[i] for i in await update_rows(self._commands, self._name, updates))]


def _replacement(row: Document, older: Literal["$lt", "$lte"]) -> list[Document]:
    """Return the update that puts the row in place of an older one or of none; any other row stays."""
    # Found by `_id` alone, a row needs no query plan; of an update that is a pipeline the server works out
    # what it changes, so indexes of other fields cost less than when a row is replaced whole.
    replaced = {"$cond": [{older: ["$position", row["position"]]}, {"$literal": row}, "$$ROOT"]}
    return [{"$replaceWith": replaced}]


async def _within(cursor: AsyncIOMotorCursor[Any], room: int) -> tuple[Sequence[RawBSONDocument], int]:
    """Read up to the first row that begins beyond so many bytes; the room left is then below 0."""
    found: list[RawBSONDocument] = []
    while batch := await cursor.to_list(BATCH_ROWS):
        for document in batch:
            found.append(document)
            if room <= 0:
                await cursor.close()
                return found, -1
            room -= len(document.raw)
    return found, max(room, 0)


def _decoded_row(document: RawBSONDocument) -> Document:
    return bson.decode(document.raw, CODEC)


def _stored_alarm(document: RawBSONDocument) -> Alarm:
    return alarm_of(_decoded_row(document))


def _decoded(documents: Sequence[RawBSONDocument], size: int) -> Iterator[Document]:
    """Decode the documents up to the first that goes beyond so many bytes."""
    for document in documents:
        yield _decoded_row(document)
        size -= len(document.raw)
        if size <= 0:
            return

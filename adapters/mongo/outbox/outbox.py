"""The outbox on MongoDB: `_id` is `position:webhook`, so a repeated write adds no second row."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import msgspec
from bson import Int64
from pymongo import ASCENDING, DESCENDING, IndexModel, UpdateOne
from pymongo.errors import BulkWriteError

from adapters.mongo.client import Database, Document
from adapters.mongo.errors import BULK_SECONDS, duplicates, retried
from adapters.mongo.moments import from_now
from core.outbox.ports import EXPIRED, KEPT_SECONDS, Backlog, OutboxQuery
from core.outbox.row import ERROR_LENGTH, Row, Settlement

OUTBOX = "outbox"

_BY_WEBHOOK, _BY_LANE, _BY_TENANT = (
    "state_webhook_position",
    "webhook_alarm_position",
    "tenant_state_position",
)
_BY_POSITION = "position"

INDEXES = [
    IndexModel([("state", ASCENDING), ("webhook", ASCENDING), ("position", ASCENDING)], name=_BY_WEBHOOK),
    IndexModel([("webhook", ASCENDING), ("alarm_id", ASCENDING), ("position", ASCENDING)], name=_BY_LANE),
    IndexModel(
        [("tenant", ASCENDING), ("state", ASCENDING), ("position", ASCENDING), ("webhook", ASCENDING)],
        name=_BY_TENANT,
    ),
    IndexModel([("position", DESCENDING)], name=_BY_POSITION),
    IndexModel([("expires_at", ASCENDING)], name="expires_at", expireAfterSeconds=0),
]

UNREADABLE = (KeyError, TypeError, ValueError)
"""What is raised where a row has not the fields that it should have."""
_NEVER = datetime.fromtimestamp(0, UTC)
_KEPT = timedelta(seconds=KEPT_SECONDS)
_COUNTED: Document = {"count": {"$sum": 1}, "first": {"$min": "$position"}}
_NONE: Document = {"count": 0}
_IN_ORDER = [("position", ASCENDING)]


class MongoOutbox:
    """The outbox (see core.outbox.ports)."""

    def __init__(self, database: Database) -> None:
        self._rows = database[OUTBOX]

    async def create(self) -> None:
        """Make sure the indexes exist. Raises Unavailable."""
        await retried(lambda: self._rows.create_indexes(INDEXES), BULK_SECONDS)

    async def add(self, rows: Sequence[Row]) -> None:
        """Add the rows; those that exist stay as they are."""
        if rows:
            documents = [_document(row) for row in rows]
            await retried(lambda: self._insert(documents))

    async def waiting(self) -> frozenset[str]:
        """Return the webhooks that have pending rows; the cost grows with webhooks, not with rows."""
        return frozenset(await retried(lambda: self._rows.distinct("webhook", {"state": "pending"})))

    async def pending(self, webhook: str, after: int, limit: int) -> Sequence[Row]:
        """Return at most `limit` pending rows of positions > after, in order."""
        condition = {"state": "pending", "webhook": webhook, "position": {"$gt": after}}
        return await self._pending(condition, limit, _BY_WEBHOOK)

    async def lane(self, webhook: str, alarm_id: str, limit: int) -> Sequence[Row]:
        """Return at most `limit` pending rows of the alarm, in order."""
        condition = {"webhook": webhook, "alarm_id": alarm_id, "state": "pending"}
        return await self._pending(condition, limit, _BY_LANE)

    async def settle(self, settlements: Sequence[Settlement]) -> None:
        """Record the outcome of rows; a row that is not pending stays as it is."""
        updates = [
            UpdateOne({"_id": each.row.id, "state": "pending"}, _settlement(each.row)) for each in settlements
        ]
        await retried(lambda: self._rows.bulk_write(updates, ordered=False), BULK_SECONDS)

    async def get(self, tenant: str, position: int, webhook: str) -> Row | None:
        """Return one row, without its body; None also for another tenant's."""
        condition = {"_id": f"{position}:{webhook}", "tenant": tenant}
        found = await retried(lambda: self._rows.find_one(condition, {"body": 0}))
        return None if found is None else _listed(found)

    async def page(self, query: OutboxQuery) -> Sequence[Row]:
        """Return rows without their bodies, the oldest first."""
        condition: Document = {"tenant": query.tenant, "state": {"$in": sorted(query.states)}}
        if query.webhook is not None:
            condition["webhook"] = query.webhook
        if query.after is not None:
            position, webhook = query.after
            condition["position"] = {"$gte": position}
            # Not by $or: the planner would scan once for each branch and sort the results.
            condition["$nor"] = [{"position": position, "webhook": {"$lte": webhook}}]
        order = [("position", ASCENDING), ("webhook", ASCENDING)]
        found = await self._found(condition, order, query.limit, _BY_TENANT, {"body": 0})
        return [_listed(document) for document in found]

    async def revive(self, row: Row, now: datetime) -> bool:
        """Make a dead row pending, as if it had never been tried; False: it is not dead."""
        fields = {"state": "pending", "attempts": 0, "next_at": now, "revived_at": now}
        change = {"$set": fields, "$unset": {"expires_at": ""}}
        result = await retried(lambda: self._rows.update_one({"_id": row.id, "state": "dead"}, change))
        return bool(result.matched_count)

    async def expire(self, before: datetime, now: datetime) -> int:
        """Make the pending rows dead that were routed, and last revived, before."""
        # Also true of rows that were never revived, which have no such field.
        old = {"routed_at": {"$lt": before}, "revived_at": {"$not": {"$gte": before}}}
        fields = {"state": "dead", "error": EXPIRED, "settled_at": now, "expires_at": now + _KEPT}
        result = await retried(
            lambda: self._rows.update_many({"state": "pending", **old}, {"$set": fields}, hint=_BY_WEBHOOK),
            BULK_SECONDS,
        )
        return int(result.modified_count)

    async def hasten(self, row: Row, now: datetime) -> None:
        """Make a pending row due, and those of its alarm and webhook before it."""
        condition = {
            "webhook": row.webhook,
            "alarm_id": row.alarm_id,
            "position": {"$lte": row.position},
            "state": "pending",
        }
        change = {"$min": {"next_at": now}}
        await retried(lambda: self._rows.update_many(condition, change, hint=_BY_LANE), BULK_SECONDS)

    async def overtaken(self, row: Row) -> bool:
        """Tell whether the row's alarm and webhook have a later row, in any state."""
        condition = {
            "webhook": row.webhook,
            "alarm_id": row.alarm_id,
            "position": {"$gt": row.position},
        }
        return await retried(lambda: self._rows.find_one(condition, {"_id": 1}, hint=_BY_LANE)) is not None

    async def remove(self, webhook: str) -> None:
        """Remove every row of a webhook."""
        await retried(lambda: self._rows.delete_many({"webhook": webhook}, hint=_BY_LANE), BULK_SECONDS)

    async def newest(self, before: int, limit: int) -> Sequence[tuple[int, str]]:
        """Return position and event id of at most `limit` rows of positions < before, the latest first."""
        condition, order = {"position": {"$lt": before}}, [("position", DESCENDING)]
        found = await retried(
            lambda: self._rows.find(
                condition, {"position": 1, "event_id": 1}, sort=order, limit=limit, hint=_BY_POSITION
            ).to_list()
        )
        return [(int(row["position"]), row["event_id"]) for row in found]

    async def cut(self, position: int) -> None:
        """Remove every row after the position."""
        condition = {"position": {"$gt": position}}
        await retried(lambda: self._rows.delete_many(condition, hint=_BY_POSITION), BULK_SECONDS)

    async def backlog(self) -> Sequence[Backlog]:
        """Count pending and dead rows from the index alone, then read the first of each count."""
        states = {"$match": {"state": {"$in": ["pending", "dead"]}}}
        group = {"_id": {"webhook": "$webhook", "state": "$state"}, **_COUNTED}
        counted = await retried(
            lambda: self._rows.aggregate([states, {"$group": group}], hint=_BY_WEBHOOK).to_list(None),
            BULK_SECONDS,
        )
        counts = {(each["_id"]["webhook"], each["_id"]["state"]): each for each in counted}
        ids = [f"{each['first']}:{webhook}" for (webhook, _), each in counts.items()]
        first = {row["webhook"]: row for row in await retried(lambda: self._firsts(ids))}
        return [
            Backlog(
                webhook=webhook,
                tenant=first[webhook]["tenant"],
                pending=counts.get((webhook, "pending"), _NONE)["count"],
                dead=counts.get((webhook, "dead"), _NONE)["count"],
                oldest=first[webhook]["routed_at"] if (webhook, "pending") in counts else None,
            )
            for webhook in sorted({webhook for webhook, _ in counts} & first.keys())
        ]

    async def _firsts(self, ids: Sequence[str]) -> list[Document]:
        """Return the first row of each webhook, the pending one if it has any."""
        shown = {"webhook": 1, "tenant": 1, "routed_at": 1, "state": 1}
        found = await self._rows.find({"_id": {"$in": ids}}, shown).to_list()
        return sorted(found, key=lambda row: row["state"] == "pending")

    async def _insert(self, documents: Sequence[Document]) -> None:
        try:
            # An unordered insert continues after a duplicate, and still inserts in order.
            await self._rows.insert_many(documents, ordered=False)
        except BulkWriteError as error:
            duplicates(error)

    async def _pending(self, condition: Document, limit: int, index: str) -> Sequence[Row]:
        """Return the rows that can be read, once those that cannot are dead."""
        while True:
            documents = await self._found(condition, _IN_ORDER, limit, index)
            rows, unreadable = [], []
            for document in documents:
                try:
                    rows.append(_row(document))
                except UNREADABLE as error:
                    unreadable.append(_burial(document, error))
            if not unreadable:
                return rows
            # Read again: fewer rows than asked for would mean that there are no more.
            await retried(partial(self._rows.bulk_write, unreadable, ordered=False))

    async def _found(
        self,
        condition: Document,
        order: Sequence[tuple[str, int]],
        limit: int,
        index: str,
        shown: dict[str, Any] | None = None,
    ) -> list[Document]:
        return await retried(
            lambda: self._rows.find(
                condition, shown, sort=order, limit=limit, batch_size=limit + 1, hint=index
            ).to_list()
        )


def _document(row: Row) -> Document:
    document = msgspec.structs.asdict(row)
    if row.revived_at is None:
        # Earlier versions refuse a row with a field that they don't know.
        del document["revived_at"]
    if row.settled_at is not None:
        document["expires_at"] = row.settled_at + _KEPT
    return {"_id": row.id, **document, "position": Int64(row.position)}


def _row(document: Document) -> Row:
    """Return a row; fields of a newer version are left out. Raises UNREADABLE."""
    return msgspec.convert({"body": b"", **document, "position": int(document["position"])}, Row)


def _listed(document: Document) -> Row:
    """Return a row as far as it can be read: a dead one that cannot must be listed all the same."""
    try:
        return _row(document)
    except UNREADABLE as error:
        position, _, webhook = str(document["_id"]).partition(":")
        return Row(
            position=int(position) if position.isdecimal() else 0,
            webhook=webhook,
            tenant=document["tenant"],
            alarm_id=str(document.get("alarm_id")),
            event_id=str(document.get("event_id")),
            type=str(document.get("type")),
            body=b"",
            state=document["state"],
            routed_at=_NEVER,
            next_at=_NEVER,
            error=_unreadable(error),
        )


def _burial(document: Document, error: Exception) -> UpdateOne:
    """Return the change that makes a row dead which cannot be read."""
    dead = {
        "state": "dead",
        "error": _unreadable(error),
        "settled_at": "$$NOW",
        "expires_at": from_now(KEPT_SECONDS),
    }
    return UpdateOne({"_id": document["_id"], "state": "pending"}, [{"$set": dead}])


def _unreadable(error: Exception) -> str:
    return f"this version cannot read the row: {error}"[:ERROR_LENGTH]


def _settlement(row: Row) -> Document:
    fields: Document = {
        "state": row.state,
        "attempts": row.attempts,
        "next_at": row.next_at,
        "settled_at": row.settled_at,
        "status": row.status,
        "error": row.error,
    }
    if row.state == "pending" or row.settled_at is None:
        return {"$set": fields}
    fields["expires_at"] = row.settled_at + _KEPT
    return {"$set": {**fields, **({"body": b""} if row.state == "delivered" else {})}}

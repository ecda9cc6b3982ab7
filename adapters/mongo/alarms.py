"""The alarm list on MongoDB: one document per alarm, each write guarded by position."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import get_args

from pymongo import ASCENDING, DESCENDING, IndexModel, ReplaceOne
from pymongo.errors import BulkWriteError

from adapters.mongo.client import CODEC, Database, Document
from adapters.mongo.codec import alarm_document, alarm_of
from adapters.mongo.errors import duplicates, retried
from core.alarm import Alarm, Severity, State
from core.ports import AlarmPage, AlarmQuery

ALARMS = "alarms"
SCAN_ROWS = 500

_BY_STATE = "tenant_state_severity_raised"
_BY_SOURCE = "tenant_source_state_raised"
_BY_TENANT = "tenant_id"
_BY_SHELF_END = "shelved_until"
_NEWEST_FIRST = [("raised_at", DESCENDING), ("_id", ASCENDING)]
_ON_TIMED_SHELF = {"shelving": "timed"}

INDEXES = [
    IndexModel([("tenant", ASCENDING), ("_id", ASCENDING)], name=_BY_TENANT),
    IndexModel(
        [("tenant", ASCENDING), ("state", ASCENDING), ("severity", ASCENDING), *_NEWEST_FIRST],
        name=_BY_STATE,
    ),
    IndexModel(
        [("tenant", ASCENDING), ("source", ASCENDING), ("state", ASCENDING), *_NEWEST_FIRST],
        name=_BY_SOURCE,
    ),
    IndexModel(
        [("shelved_until", ASCENDING), ("_id", ASCENDING)],
        name=_BY_SHELF_END,
        partialFilterExpression=_ON_TIMED_SHELF,
    ),
]

_STATES: tuple[State, ...] = get_args(State)
_SEVERITIES: tuple[Severity, ...] = get_args(Severity)


class MongoAlarmList:
    """The read model `alarms` (see core.ports.AlarmList); `collection` may name a shadow of it."""

    def __init__(self, database: Database, collection: str = ALARMS) -> None:
        self._rows = database.get_collection(collection, codec_options=CODEC)

    async def create(self) -> None:
        """Make sure the collection and its indexes exist. Raises Unavailable."""
        await retried(lambda: self._rows.create_indexes(INDEXES))

    async def write(self, rows: Mapping[str, Alarm]) -> None:
        """Replace each row, unless it is at this position or a later one already."""
        documents = [alarm_document(alarm) for alarm in rows.values()]
        met = await retried(lambda: self._replace(documents, upsert=True))
        if met:
            # Most are newer rows. But two leaders that bring a new alarm at once collide too, and then
            # the older one may have won: a plain replace sets that right.
            again = [documents[index] for index in met]
            await retried(lambda: self._replace(again, upsert=False))

    async def get(self, tenant: str, alarm_id: str) -> Alarm | None:
        """Return one row; None also for another tenant's."""
        found = await retried(lambda: self._rows.find_one({"_id": alarm_id, "tenant": tenant}))
        return None if found is None else alarm_of(found)

    async def page(self, query: AlarmQuery) -> AlarmPage:
        """Return one page of the list, newest activation first."""
        # The states are always spelled out: an index merges one ordered scan for each of them.
        condition, index = _condition(query), _BY_STATE if query.source is None else _BY_SOURCE
        limit = query.limit + 1
        found = await retried(
            lambda: self._rows.find(
                condition, sort=_NEWEST_FIRST, limit=limit, batch_size=limit, hint=index
            ).to_list()
        )
        alarms = [alarm_of(document) for document in found[: query.limit]]
        last = alarms[-1] if len(found) > query.limit else None
        return AlarmPage(alarms, (last.raised_at, last.id) if last and last.raised_at else None)

    async def scan(self, tenant: str | None = None) -> AsyncIterator[Sequence[Alarm]]:
        """Yield all rows (of the tenant), in order of id, in pages."""
        after = ""
        while True:
            rows = await self._rows_after(tenant, after)
            if not rows:
                return
            yield rows
            after = rows[-1].id

    async def shelved(self) -> AsyncIterator[Sequence[Alarm]]:
        """Yield the rows of all tenants that are shelved until some time, the earliest first, in pages."""
        after: Alarm | None = None
        while True:
            rows = await self._shelved_after(after)
            if not rows:
                return
            yield rows
            after = rows[-1]

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

    async def _rows_after(self, tenant: str | None, after: str) -> Sequence[Alarm]:
        condition: Document = {"_id": {"$gt": after}}
        if tenant is not None:
            condition["tenant"] = tenant
        found = await retried(
            lambda: self._rows.find(
                condition, sort=[("_id", ASCENDING)], limit=SCAN_ROWS, batch_size=SCAN_ROWS
            ).to_list()
        )
        return [alarm_of(document) for document in found]

    async def _replace(self, documents: Sequence[Document], *, upsert: bool) -> Sequence[int]:
        """Replace what is older; return which documents met a row that is not."""
        if not documents:
            return ()
        replaces = [
            ReplaceOne({"_id": row["_id"], "position": {"$lt": row["position"]}}, row, upsert=upsert)
            for row in documents
        ]
        try:
            await self._rows.bulk_write(replaces, ordered=False)
        except BulkWriteError as error:
            return duplicates(error)
        return ()


def _condition(query: AlarmQuery) -> Document:
    condition: Document = {"tenant": query.tenant}
    condition["state"] = {"$in": [state for state in _STATES if _is_listed(query, state)]}
    if query.source is not None:
        condition["source"] = query.source
    if query.severities is not None or query.source is None:
        severities = _SEVERITIES if query.severities is None else sorted(query.severities)
        condition["severity"] = {"$in": list(severities)}
    if query.type is not None:
        condition["type"] = query.type
    if query.cursor is not None:
        raised_at, alarm_id = query.cursor
        condition["raised_at"] = {"$lte": raised_at}
        # Not by $or: the planner would scan for each of its branches and sort what they bring.
        condition["$nor"] = [{"raised_at": raised_at, "_id": {"$lte": alarm_id}}]
    return condition


def _is_listed(query: AlarmQuery, state: State) -> bool:
    return state != "normal" if query.states is None else state in query.states

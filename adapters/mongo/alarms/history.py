"""The alarm list as of a position, from the `events` collection."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pymongo import DESCENDING

from adapters.mongo.alarms.word_search import SEARCHED, may_have
from adapters.mongo.client import CODEC, Database, Document
from adapters.mongo.codec import event_of, snapshot_of
from adapters.mongo.errors import bounded, retried
from adapters.mongo.log.store import BY_TIME, EVENTS, NEWEST_OF_STREAMS
from adapters.mongo.mapping import mapped_aside
from core.alarm.alarm import Alarm
from core.alarm.events import Event
from core.lists.filter import split_sources
from core.lists.query import (
    BEGINNING,
    SEVERITY_ORDER,
    STATE_ORDER,
    AlarmPage,
    AlarmQuery,
    Key,
    has_words,
    page_of,
)

HISTORY_MS = 8_000
"""How long the server works on one page; less than the driver's wait."""
BATCH_ROWS = 200
"""How many alarms one round trip brings: the driver decodes them at once, in about 2 ms."""
PAGE_ROWS = 100
"""How many whole alarms one brings, which are larger."""

_SORTED_BY = ("state", "severity", "raised_at", "position", "occurrence", "source", "type")
# The values of core.lists.query's keys, as the server computes them.
_RANKS: dict[Key, Any] = {
    "state": {"$indexOfArray": [list(STATE_ORDER), "$alarm.state"]},
    "severity": {"$indexOfArray": [list(SEVERITY_ORDER), "$alarm.severity"]},
    "raised_at": {"$ifNull": [{"$subtract": [BEGINNING, "$alarm.raised_at"]}, 0]},
    "position": {"$multiply": [-1, "$alarm.position"]},
    "occurrence": {"$multiply": [-1, "$alarm.occurrence"]},
    "source": "$alarm.source",
    "type": "$alarm.type",
}
_AFTER_SLASH = chr(ord("/") + 1)


class MongoAlarmHistory:
    """The history of the alarms (see core.lists.ports.AlarmHistory).

    One scan of an index, leaping from stream to stream, finds the newest event of every stream up to a
    position. The server filters and sorts these events. For words it only narrows them: they are searched
    for here, batch by batch, until the page has its rows.
    """

    def __init__(self, database: Database) -> None:
        self._events = database.get_collection(EVENTS, codec_options=CODEC)

    async def position_at(self, time: datetime) -> int:
        """Return the position of the newest event recorded at or before the time, 0 if there is none."""
        order = [("at", DESCENDING), ("_id", DESCENDING)]
        found = await retried(
            lambda: self._events.find_one({"at": {"$lte": time}}, {"_id": 1}, sort=order, hint=BY_TIME)
        )
        return 0 if found is None else int(found["_id"])

    async def newest(self, tenant: str, alarm_id: str, position: int) -> Event | None:
        """Return the alarm's newest event at or before the position; None also for another tenant's."""
        condition = {"tenant": tenant, "stream": alarm_id, "_id": {"$lte": position}}
        order = [("_id", DESCENDING)]
        found = await retried(lambda: self._events.find_one(condition, sort=order, hint=NEWEST_OF_STREAMS))
        return None if found is None else event_of(found)

    async def page(self, query: AlarmQuery, position: int) -> AlarmPage:
        """Return one page of the list as of the position. Raises TooBroad."""
        if query.is_empty:
            return AlarmPage((), None)
        listed = await bounded(lambda: self._listed(query, position))
        positions = [alarm.position for alarm in listed]
        alarms = {alarm.position: alarm for alarm in await retried(lambda: self._whole(positions))}
        return page_of(query, [alarms[each] for each in positions])

    async def _listed(self, query: AlarmQuery, position: int) -> list[Alarm]:
        """Return the page's rows, with only the fields that sorting and searching need."""
        words = query.words or frozenset()

        def wanted(document: Mapping[str, Any]) -> Alarm | None:
            row = _row(query.tenant, document)
            return row if has_words(row, words) else None

        cursor = self._events.aggregate(
            _pipeline(query, position), hint=NEWEST_OF_STREAMS, maxTimeMS=HISTORY_MS, batchSize=BATCH_ROWS
        )
        listed: list[Alarm] = []
        try:
            while len(listed) <= query.limit and (batch := await cursor.to_list(BATCH_ROWS)):
                listed += filter(None, await mapped_aside(batch, wanted))
        finally:
            # Where the page is full before the end, the server would keep the rest for minutes.
            await cursor.close()
        return listed[: query.limit + 1]

    async def _whole(self, positions: Sequence[int]) -> list[Alarm]:
        """Return the alarms as the events at these positions left them, in any order."""
        fields = {"alarm": 1, "v": 1, "type": 1}
        cursor = self._events.find({"_id": {"$in": positions}}, fields, batch_size=PAGE_ROWS)
        alarms: list[Alarm] = []
        while batch := await cursor.to_list(PAGE_ROWS):
            alarms += await mapped_aside(batch, snapshot_of)
        return alarms


def _pipeline(query: AlarmQuery, position: int) -> list[Document]:
    fields = [*_SORTED_BY, *(SEARCHED if query.words else ())]
    return [
        {"$match": {"tenant": query.tenant, "_id": {"$lte": position}}},
        {"$sort": {"stream": 1, "_id": -1}},
        {"$group": {"_id": "$stream", "alarm": {"$first": "$alarm"}}},
        {"$match": _condition(query)},
        # Before they are sorted: the server has less to keep.
        {"$project": {f"alarm.{field}": 1 for field in fields}},
        *_in_order(query),
        *([] if query.words else [{"$limit": query.limit + 1}]),
        {"$unset": "keys"},
    ]


def _in_order(query: AlarmQuery) -> list[Document]:
    """Return the stages that keep the rows after the query's place, and sort them."""
    keys, backwards = query.order.keys, query.order.reverse
    names = ["_id" if key == "id" else f"keys.{key}" for key in keys]
    stages: list[Document] = [{"$set": {f"keys.{key}": _RANKS[key] for key in keys if key != "id"}}]
    if query.after is not None:
        place = list(zip(names, query.after, strict=True))
        beyond = "$lt" if backwards else "$gt"
        later = [dict(place[:depth]) | {name: {beyond: at}} for depth, (name, at) in enumerate(place)]
        stages.append({"$match": {"$or": later}})
    return [*stages, {"$sort": dict.fromkeys(names, -1 if backwards else 1)}]


def _condition(query: AlarmQuery) -> Document:
    conditions: list[Document] = [
        {"alarm.state": {"$in": query.listed_states}},
        {"alarm.severity": {"$in": query.listed_severities}},
    ]
    if query.sources is not None:
        exact, prefixes = split_sources(query.sources)
        ranges = [{"$gte": prefix, "$lt": prefix[:-1] + _AFTER_SLASH} for prefix in prefixes]
        either = [{"$in": sorted(exact)}, *ranges]
        conditions.append({"$or": [{"alarm.source": each} for each in either]})
    for name, values in (("type", query.types), ("assignee", query.assignees)):
        if values is not None:
            conditions.append({f"alarm.{name}": {"$in": sorted(values)}})
    for name, flag in (("active", query.active), ("acked", query.acked)):
        if flag is not None:
            conditions.append({f"alarm.{name}": flag})
    conditions += [_has_label(name, value) for name, value in query.labels.items()]
    if query.words:
        conditions.append(may_have(query.words))
    return {"$and": conditions}


def _has_label(name: str, value: str) -> Document:
    # A label's name may hold a dot or begin with a dollar sign, which a path would interpret.
    label = {"$getField": {"field": {"$literal": name}, "input": "$alarm.labels"}}
    return {"$expr": {"$eq": [label, {"$literal": value}]}}


def _row(tenant: str, document: Mapping[str, Any]) -> Alarm:
    fields = {"qualifier": "", **document["alarm"]}
    for name in ("position", "occurrence"):
        fields[name] = int(fields[name])
    if fields["raised_at"] is not None:
        fields["raised_at"] = fields["raised_at"].replace(tzinfo=UTC)
    return Alarm(id=document["_id"], tenant=tenant, **fields)

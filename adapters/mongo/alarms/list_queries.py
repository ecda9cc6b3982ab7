"""Listing alarms on MongoDB: what each row carries for it, the indexes, and the queries that they serve.

A row is the alarm and, under `keys`, what the indexes are made of: the ranks that the list is sorted by, and
`terms`, what it is looked for by: prefixes of its source, labels, words, assignee. See ADR 0019.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from bson import Int64
from pymongo import ASCENDING, DESCENDING, IndexModel

from adapters.mongo.client import Document
from adapters.mongo.codec import alarm_document
from core.alarm.alarm import Alarm
from core.lists.filter import split_sources
from core.lists.query import (
    SEVERITY_ORDER,
    STATE_ORDER,
    AlarmQuery,
    Key,
    Value,
    prefixes_of,
    ranks_of,
    searched,
)

LAYOUT = 1
"""Which version of `keys` this code writes; a row of another is written again at start-up."""

_FIELDS: dict[Key, str] = {
    "state": "keys.state",
    "severity": "keys.severity",
    "raised_at": "keys.raised_at",
    "position": "keys.position",
    "occurrence": "keys.occurrence",
    "source": "source",
    "type": "type",
    "id": "_id",
}
_TERMS = "keys.terms"
_WORD = "w"
"""How the term of a word begins."""
_RANKED_BY: tuple[Key, Key] = ("state", "severity")
_BY_STATE, _BY_SOURCE, _BY_TYPE = "tenant_state", "tenant_source", "tenant_type"
_BY_ORDER: dict[Key, str] = {
    "state": _BY_STATE,
    "severity": _BY_STATE,
    "raised_at": _BY_STATE,
    "position": "tenant_state_position",
    "occurrence": "tenant_state_occurrence",
    "source": _BY_SOURCE,
    "type": _BY_TYPE,
}
"""Which index has the rows in the order that begins with the key."""
_LAST = "\U0010ffff"
_AFTER_SLASH = chr(ord("/") + 1)


def _index(name: str, *fields: str) -> IndexModel:
    return IndexModel([("tenant", ASCENDING), *((field, ASCENDING) for field in fields)], name=name)


_RANKED = ("keys.state", "keys.severity", "keys.raised_at", "_id")

INDEXES = [
    _index(_BY_STATE, *_RANKED),
    _index(_BY_SOURCE, "source", *_RANKED),
    _index(_BY_TYPE, "type", *_RANKED),
    _index("tenant_state_position", "keys.state", "keys.severity", "keys.position", "_id"),
    _index("tenant_state_occurrence", "keys.state", "keys.severity", "keys.occurrence", "_id"),
    # Without the ranks: with them, each change of state would write every term of the row anew.
    _index("tenant_term", _TERMS),
]


class Part(NamedTuple):
    """A condition, and the order of the rows that fulfil it."""

    condition: Document
    ordering: list[tuple[str, int]]


def row_document(alarm: Alarm) -> Document:
    """Return the row of an alarm: its document and the keys of its indexes."""
    keys: Document = {"layout": LAYOUT, "terms": _terms(alarm)}
    keys |= {key: Int64(rank) for key, rank in ranks_of(alarm).items()}
    return {**alarm_document(alarm), "keys": keys}


def hint(query: AlarmQuery) -> str | None:
    """Return the index that has the query's rows in their order; None: the server tries which is cheapest."""
    first = query.order.keys[0]
    narrowed = [each for each in (query.sources, query.types) if each is not None]
    if query.words or query.labels or query.assignees is not None or len(narrowed) > 1:
        return None
    if not narrowed:
        return _BY_ORDER[first]
    if query.types is not None:
        return _serving(_BY_TYPE, "type", first, len(query.types))
    exact, prefixes = split_sources(query.sources or ())
    if not prefixes:
        return _serving(_BY_SOURCE, "source", first, len(exact))
    return None if _range_of_sources(query) is None else _BY_SOURCE


def _serving(index: str, key: Key, first: Key, values: int) -> str | None:
    return index if _BY_ORDER[first] == _BY_STATE or (first == key and values == 1) else None


def parts(query: AlarmQuery) -> Iterator[Part]:
    """Yield conditions whose rows, one after the other, are what the query lists.

    After a place (a, b, c) come those at (a, b) beyond c, then those at a beyond b, then those beyond a.
    Each is a range of an index; all in one `$or` would be sorted in memory.
    """
    constant = _constant(query)
    keys = [key for key in query.order.keys if key not in constant]
    if query.after is None:
        yield _part(query, keys, {}, {})
        return
    place = dict(zip(query.order.keys, query.after, strict=True))
    for depth in reversed(range(len(keys))):
        fixed = {key: place[key] for key in keys[:depth]}
        beyond = {keys[depth]: place[keys[depth]]}
        if all(_ranks(query, key, fixed, beyond) for key in ("state", "severity")):
            yield _part(query, keys[depth:], fixed, beyond)


def condition(query: AlarmQuery) -> Document:
    """Return what all rows fulfil that the query lists, in whatever order."""
    ranks = [{_FIELDS[key]: {"$in": _ranks(query, key, {}, {})}} for key in _RANKED_BY]
    return {"$and": [{"tenant": query.tenant}, *ranks, *_filters(query)]}


def _constant(query: AlarmQuery) -> set[Key]:
    """Return the keys that are the same in all rows: sorted by them, no index would do."""
    exact, prefixes = split_sources(query.sources or ())
    constant: set[Key] = {"source"} if len(exact) == 1 and not prefixes else set()
    return constant | ({"type"} if query.types is not None and len(query.types) == 1 else set())


def _part(
    query: AlarmQuery, keys: Sequence[Key], fixed: Mapping[Key, Value], beyond: Mapping[Key, Value]
) -> Part:
    """Return the part at the fixed values and beyond another, sorted by `keys`."""
    conditions: list[Document] = [{"tenant": query.tenant}]
    for key in _RANKED_BY:
        ranks = _ranks(query, key, fixed, beyond)
        # The server merges one ordered scan for each value of those that it does not sort by.
        conditions.append({_FIELDS[key]: _range(ranks) if key in keys else {"$in": ranks}})
    conditions += [{_FIELDS[key]: value} for key, value in fixed.items() if key not in _RANKED_BY]
    operator = "$lt" if query.order.reverse else "$gt"
    conditions += [
        {_FIELDS[key]: {operator: value}} for key, value in beyond.items() if key not in _RANKED_BY
    ]
    direction = DESCENDING if query.order.reverse else ASCENDING
    return Part({"$and": [*conditions, *_filters(query)]}, [(_FIELDS[key], direction) for key in keys])


def _ranks(query: AlarmQuery, key: Key, fixed: Mapping[Key, Value], beyond: Mapping[Key, Value]) -> list[int]:
    """Return the states or severities, as ranks, that a part has."""
    if key == "state":
        ranks = [STATE_ORDER[state] for state in query.listed_states]
    else:
        ranks = [SEVERITY_ORDER[severity] for severity in query.listed_severities]
    if key in fixed:
        return [rank for rank in ranks if rank == fixed[key]]
    limit = beyond.get(key)
    if not isinstance(limit, int):
        return ranks
    return [rank for rank in ranks if (rank < limit if query.order.reverse else rank > limit)]


def _range(ranks: Sequence[int]) -> Document:
    """Return the condition for ranks that are sorted by: intervals, since single values would be merged."""
    missing = sorted(set(range(min(ranks), max(ranks))) - set(ranks))
    interval = {"$gte": min(ranks), "$lt": max(ranks) + 1}
    return {**interval, "$nin": missing} if missing else interval


def _filters(query: AlarmQuery) -> Iterator[Document]:
    if query.sources is not None:
        yield _range_of_sources(query) or _sources(query.sources)
    if query.types is not None:
        yield {"type": {"$in": sorted(query.types)}}
    if query.assignees is not None:
        yield {_TERMS: {"$in": sorted(map(_assignee, query.assignees))}}
    for name, value in query.labels.items():
        yield {_TERMS: _label(name, value)}
    for word in sorted(query.words or ()):
        yield {_TERMS: {"$elemMatch": {"$gte": _word(word), "$lt": _word(word) + _LAST}}}
    for flag, given in (("active", query.active), ("acked", query.acked)):
        if given is not None:
            yield {flag: given}


def _range_of_sources(query: AlarmQuery) -> Document | None:
    """Return the range of a prefix in the order of sources, if that is what is asked for."""
    exact, prefixes = split_sources(query.sources or ())
    if query.order.keys[0] != "source" or exact or len(prefixes) != 1:
        return None
    return {"source": {"$gte": prefixes[0], "$lt": prefixes[0][:-1] + _AFTER_SLASH}}


def _sources(sources: frozenset[str]) -> Document:
    exact, prefixes = split_sources(sources)
    either = [{"source": {"$in": sorted(exact)}}] if exact else []
    either += [{_TERMS: {"$in": [*map(_prefix, prefixes)]}}] if prefixes else []
    return either[0] if len(either) == 1 else {"$or": either}


def _terms(alarm: Alarm) -> list[str]:
    terms = [_prefix(prefix) for prefix in prefixes_of(alarm.source)]
    terms += [_label(name, value) for name, value in alarm.labels.items()]
    terms += [f"{_WORD}{word}" for word in searched(alarm)]
    return terms if alarm.assignee is None else [*terms, _assignee(alarm.assignee)]


def _prefix(prefix: str) -> str:
    return f"p{prefix}"


def _assignee(assignee: str) -> str:
    return f"a{assignee}"


def _label(name: str, value: str) -> str:
    # A name holds no NUL, so no two labels have the same term.
    return f"l{name}\0{value}"


def _word(word: str) -> str:
    return f"{_WORD}{word}"

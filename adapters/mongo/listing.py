"""How MongoDB answers a list: what each row carries for it, its indexes, and the queries that they serve.

A row is the alarm and, under `keys`, what the indexes are made of: `terms`, everything that is asked for by
its exact value, `words`, what a search looks at, and the ranks that the list is sorted by. See ADR 0019.
"""

from collections.abc import Iterable, Iterator

from bson import Int64
from pymongo import ASCENDING, DESCENDING, IndexModel

from adapters.mongo.client import Document
from adapters.mongo.codec import alarm_document
from core.alarm import Alarm
from core.filter import split_sources
from core.listing import SEVERITY_ORDER, STATE_ORDER, AlarmQuery, Key, prefixes_of, ranks_of, searched

LAYOUT = 1
"""Which version of `keys` this code writes; a row of another is written again at start-up."""

_TENANT, _TERMS, _WORDS = "tenant", "keys.terms", "keys.words"
_STATE, _SEVERITY = "keys.state", "keys.severity"
_FIELDS: dict[Key, str] = {
    "state": _STATE,
    "severity": _SEVERITY,
    "raised_at": "keys.raised_at",
    "position": "keys.position",
    "occurrence": "keys.occurrence",
    "source": "source",
    "type": "type",
    "id": "_id",
}
_LAST_OF_ALL = "\U0010ffff"


def _index(name: str, *fields: str) -> IndexModel:
    return IndexModel([(field, ASCENDING) for field in fields], name=name)


_BY_TERM = "tenant_term_state"
_BY_ORDER: dict[Key, str] = {
    "state": "tenant_state",
    "severity": "tenant_state",
    "raised_at": "tenant_state",
    "position": "tenant_state_position",
    "occurrence": "tenant_state_occurrence",
    "source": "tenant_state_source",
    "type": "tenant_state_type",
}
"""Which index has the rows in the order that begins with the key."""

INDEXES = [
    _index("tenant_state", _TENANT, _STATE, _SEVERITY, "keys.raised_at", "_id"),
    _index(_BY_TERM, _TENANT, _TERMS, _STATE, _SEVERITY, "keys.raised_at", "_id"),
    _index("tenant_state_position", _TENANT, _STATE, _SEVERITY, "keys.position", "_id"),
    _index("tenant_state_occurrence", _TENANT, _STATE, _SEVERITY, "keys.occurrence", "_id"),
    _index("tenant_state_source", _TENANT, _STATE, _SEVERITY, "source", "_id"),
    _index("tenant_state_type", _TENANT, _STATE, _SEVERITY, "type", "_id"),
    _index("tenant_word", _TENANT, _WORDS),
]


def row_document(alarm: Alarm) -> Document:
    """Return the row of an alarm: its document and the keys of its indexes."""
    keys: Document = {"layout": LAYOUT, "terms": _terms(alarm), "words": searched(alarm)}
    keys |= {key: Int64(rank) for key, rank in ranks_of(alarm).items()}
    return {**alarm_document(alarm), "keys": keys}


def hint(query: AlarmQuery) -> str | None:
    """Return the index that has the query's rows in their order; None: the server finds the cheapest way."""
    first = query.order.keys[0]
    if query.words:
        return None
    if not _term_groups(query):
        return _BY_ORDER[first]
    return _BY_TERM if _BY_ORDER[first] == "tenant_state" else None


def ordering(query: AlarmQuery) -> list[tuple[str, int]]:
    """Return what to sort by."""
    direction = DESCENDING if query.order.reverse else ASCENDING
    return [(_FIELDS[key], direction) for key in query.order.keys]


def parts(query: AlarmQuery) -> Iterator[Document]:
    """Yield conditions whose rows, one after the other, are what the query lists.

    After a place (a, b, c) come those at (a, b) beyond c, then those at a beyond b, then those beyond a.
    Each is a range of an index; all in one `$or` would be sorted in memory.
    """
    condition = _condition(query)
    if query.after is None:
        yield condition
        return
    beyond = "$lt" if query.order.reverse else "$gt"
    fields = [_FIELDS[key] for key in query.order.keys]
    for depth in reversed(range(len(fields))):
        part: Document = dict(zip(fields[:depth], query.after, strict=False))
        part[fields[depth]] = {beyond: query.after[depth]}
        yield {"$and": [condition, part]}


def _condition(query: AlarmQuery) -> Document:
    # States and severities are always spelled out: the server merges one ordered scan for each of them.
    conditions: list[Document] = [
        {_TENANT: query.tenant},
        {_STATE: {"$in": [STATE_ORDER[state] for state in query.listed_states]}},
        {_SEVERITY: {"$in": [SEVERITY_ORDER[severity] for severity in query.listed_severities]}},
    ]
    conditions += [{_TERMS: {"$in": sorted(group)}} for group in _term_groups(query)]
    for word in sorted(query.words or ()):
        conditions.append({_WORDS: {"$elemMatch": {"$gte": word, "$lt": word + _LAST_OF_ALL}}})
    for flag, value in (("active", query.active), ("acked", query.acked)):
        if value is not None:
            conditions.append({flag: value})
    return {"$and": conditions}


def _term_groups(query: AlarmQuery) -> list[Iterable[str]]:
    """Return the terms asked for: a row has one of each group."""
    groups: list[Iterable[str]] = []
    if query.sources is not None:
        exact, prefixes = split_sources(query.sources)
        groups.append([*map(_source, exact), *map(_prefix, prefixes)])
    if query.types is not None:
        groups.append(map(_type, query.types))
    if query.assignees is not None:
        groups.append(map(_assignee, query.assignees))
    groups += [[_label(name, value)] for name, value in query.labels.items()]
    return groups


def _terms(alarm: Alarm) -> list[str]:
    terms = [_source(alarm.source), *map(_prefix, prefixes_of(alarm.source)), _type(alarm.type)]
    terms += [_label(name, value) for name, value in alarm.labels.items()]
    return terms if alarm.assignee is None else [*terms, _assignee(alarm.assignee)]


def _source(source: str) -> str:
    return f"s{source}"


def _prefix(prefix: str) -> str:
    return f"p{prefix}"


def _type(kind: str) -> str:
    return f"t{kind}"


def _assignee(assignee: str) -> str:
    return f"a{assignee}"


def _label(name: str, value: str) -> str:
    # A name holds no NUL, so no two labels have the same term.
    return f"l{name}\0{value}"

"""Defines an alarm list: which alarms it shows, in which order, and where its next page starts.

Every implementation (in memory, in an index, on the log) must agree with these definitions.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal, get_args

import msgspec

from core.alarm.alarm import SEVERITY_RANK, Alarm, Severity, State
from core.alarm.bounds import LABEL_BYTES, check_name
from core.lists.filter import PREFIX_DEPTH, Filter, split_sources

Sort = Literal[
    "state",
    "-state",
    "severity",
    "-severity",
    "raised_at",
    "-raised_at",
    "updated_at",
    "-updated_at",
    "source",
    "-source",
    "type",
    "-type",
    "occurrence",
    "-occurrence",
]
"""A list's sort order; `-` reverses it, ties included."""

Key = Literal["state", "severity", "raised_at", "position", "source", "type", "occurrence", "id"]
Value = int | str
Place = tuple[Value, ...]
"""Where a row stands in an order: the values of the order's keys, compared one by one."""

WORDS = 100
"""How many words of an alarm a search looks at; usually only a long text has more."""
WORD_LENGTH = 64
"""How many characters of a word count."""

STATE_ORDER: dict[State, int] = {
    "unacked": 0,
    "rtn_unacked": 1,
    "acked": 2,
    "shelved": 3,
    "suppressed": 4,
    "out_of_service": 5,
    "normal": 6,
}
"""The states that need an operator most come first (ISA-18.2 §11.3: unacknowledged, then the rest)."""

IN_SIGHT: frozenset[State] = frozenset({"unacked", "acked"})
"""The states of standing alarms: active and in an operator's sight (IEC 62682 §16.5)."""

_BY_RANK = sorted((-rank, severity) for severity, rank in SEVERITY_RANK.items())
SEVERITY_ORDER: dict[Severity, int] = {severity: place for place, (_, severity) in enumerate(_BY_RANK)}
"""The most severe first."""

BEGINNING = datetime(1, 1, 1, tzinfo=UTC)
"""The time from which places count."""
_MILLISECOND = timedelta(milliseconds=1)
_WORD = re.compile(r"[^\W_]+")


class Order(msgspec.Struct, frozen=True, gc=False):
    """The keys that sort a list, the most significant first; `reverse`: in descending order."""

    keys: tuple[Key, ...]
    reverse: bool = False

    def place(self, alarm: Alarm) -> Place:
        """Return the alarm's place."""
        return tuple(_value(key, alarm) for key in self.keys)

    def is_place(self, values: Sequence[object]) -> bool:
        """Tell whether values from outside have the types and ranges of a place in this order."""
        kinds = [str if key in {"source", "type", "id"} else int for key in self.keys]
        return [type(value) for value in values] == kinds and all(
            value in _range(key) for key, value in zip(self.keys, values, strict=True) if type(value) is int
        )


_BASE: dict[str, Order] = {
    "state": Order(("state", "severity", "raised_at", "id")),
    "-severity": Order(("severity", "raised_at", "id")),
    "-raised_at": Order(("raised_at", "id")),
    # Positions are unique, and times never decrease along them.
    "-updated_at": Order(("position", "id")),
    "source": Order(("source", "state", "severity", "raised_at", "id")),
    "type": Order(("type", "state", "severity", "raised_at", "id")),
    "-occurrence": Order(("occurrence", "id")),
}


def order_of(sort: Sort) -> Order:
    """Return the order of a sort."""
    if sort in _BASE:
        return _BASE[sort]
    other = sort[1:] if sort.startswith("-") else f"-{sort}"
    return Order(_BASE[other].keys, reverse=True)


class AlarmQuery(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Which alarms of a tenant to list: every given condition must hold, by any one of its values.

    `states` None: all but `normal`. A source is exact, or `prefix/*` for all that start with `prefix/`.
    Every label must have its value. Each of the `words` (see `words_of`) must begin a word of the alarm;
    empty: no search; None: a search that finds nothing. `after` is the place of the last row that the caller
    has seen.
    """

    tenant: str
    states: frozenset[State] | None = None
    severities: frozenset[Severity] | None = None
    sources: frozenset[str] | None = None
    types: frozenset[str] | None = None
    assignees: frozenset[str] | None = None
    labels: dict[str, str] = {}
    words: frozenset[str] | None = frozenset()
    active: bool | None = None
    acked: bool | None = None
    sort: Sort = "state"
    limit: int = 100
    after: Place | None = None

    @property
    def listed_states(self) -> list[State]:
        """The states that are listed, in the order of a list."""
        return [
            state
            for state in STATE_ORDER
            if (state != "normal" if self.states is None else state in self.states)
        ]

    @property
    def listed_severities(self) -> list[Severity]:
        """The severities that are listed, in the order of a list."""
        return [each for each in SEVERITY_ORDER if self.severities is None or each in self.severities]

    @property
    def order(self) -> Order:
        """The order of the list."""
        return order_of(self.sort)

    @property
    def is_empty(self) -> bool:
        """Whether the query can match no alarm at all."""
        names = (self.sources, self.types, self.assignees)
        unnamed = any(each is not None and not each for each in names)
        return unnamed or self.words is None or not (self.listed_states and self.listed_severities)

    def check(self) -> None:
        """Check the size of every part. Raises InvalidInput, naming the part and its bound."""
        Filter(
            sources=self.sources or frozenset(),
            types=(self.types or frozenset()) | (self.assignees or frozenset()),
            labels=self.labels,
        ).check()
        for name in self.labels:
            check_name("the name of a label", name, LABEL_BYTES)


class AlarmPage(msgspec.Struct, frozen=True, gc=False):
    """Rows in the query's order, and the place after which the next page starts (None: no more rows)."""

    alarms: Sequence[Alarm]
    next: Place | None


def page_of(query: AlarmQuery, rows: Sequence[Alarm]) -> AlarmPage:
    """Return the page of the rows; one row beyond the limit shows that there is a next page."""
    alarms = rows[: query.limit]
    more = len(rows) > query.limit
    return AlarmPage(alarms, query.order.place(alarms[-1]) if more else None)


def within(query: AlarmQuery, page: AlarmPage, size: int) -> AlarmPage:
    """Return as many of the page's rows as have `size` bytes of JSON, at least one; the rest comes next."""
    for count, alarm in enumerate(page.alarms):
        size -= len(msgspec.json.encode(alarm))
        if size < 0 < count:
            return AlarmPage(page.alarms[:count], query.order.place(page.alarms[count - 1]))
    return page


def matches(query: AlarmQuery, alarm: Alarm) -> bool:
    """Tell whether the list shows the alarm, on any page."""
    return (
        not query.is_empty
        and alarm.tenant == query.tenant
        and alarm.state in query.listed_states
        and alarm.severity in query.listed_severities
        and (query.sources is None or _is_of(alarm.source, query.sources))
        and (query.types is None or alarm.type in query.types)
        and (query.assignees is None or alarm.assignee in query.assignees)
        and all(alarm.labels.get(name) == value for name, value in query.labels.items())
        and query.active in (None, alarm.active)
        and query.acked in (None, alarm.acked)
        and has_words(alarm, query.words or frozenset())
    )


def is_after(query: AlarmQuery, alarm: Alarm) -> bool:
    """Tell whether the alarm comes after the last row that the caller has seen."""
    if query.after is None:
        return True
    place = query.order.place(alarm)
    return place < query.after if query.order.reverse else place > query.after


def has_words(alarm: Alarm, words: frozenset[str]) -> bool:
    """Tell whether each of the words begins a word of the alarm."""
    if not words:
        return True
    alarm_words = searched(alarm)
    return all(any(each.startswith(word) for each in alarm_words) for word in words)


def searched(alarm: Alarm) -> list[str]:
    """Return the alarm's words for a search: at most WORDS, those of its text last."""
    parts = (alarm.source, alarm.type, alarm.qualifier, alarm.assignee or "", alarm.text)
    return words_of(" ".join(parts))[:WORDS]


def words_of(text: str) -> list[str]:
    """Return the distinct words of a text, in order: case-folded runs of letters and digits."""
    folded = text.lower() if text.isascii() else _normal(_normal(text).casefold())
    return list(dict.fromkeys([word[:WORD_LENGTH] for word in _WORD.findall(folded)]))


def sought(text: str) -> frozenset[str] | None:
    """Return the words to search for; None if the text has no words, so that no alarm matches."""
    words = frozenset(words_of(text))
    return words or (None if text.strip() else words)


def prefixes_of(source: str) -> list[str]:
    """Return every `prefix/` of a source that a query can list it by."""
    if "/" not in source:
        return []
    parts = source.split("/")
    return ["/".join(parts[:depth]) + "/" for depth in range(1, min(len(parts), PREFIX_DEPTH + 1))]


def ranks_of(alarm: Alarm) -> dict[Key, int]:
    """Return the alarm's values of the numeric keys."""
    return {key: rank(alarm) for key, rank in _RANKS.items()}


def age_rank(raised_at: datetime) -> int:
    """Return the rank of an alarm by its raise; the newest alarm has the lowest."""
    return -((raised_at - BEGINNING) // _MILLISECOND)


def _normal(text: str) -> str:
    return unicodedata.normalize("NFKC", text)


# The numeric keys. Lower ranks come first: the newest or highest value has the lowest rank.
_RANKS: dict[Key, Callable[[Alarm], int]] = {
    "state": lambda alarm: STATE_ORDER[alarm.state],
    "severity": lambda alarm: SEVERITY_ORDER[alarm.severity],
    "raised_at": lambda alarm: 0 if alarm.raised_at is None else age_rank(alarm.raised_at),
    "position": lambda alarm: -alarm.position,
    "occurrence": lambda alarm: -alarm.occurrence,
}


def _value(key: Key, alarm: Alarm) -> Value:
    rank = _RANKS.get(key)
    value: Value = getattr(alarm, key) if rank is None else rank(alarm)
    return value


def _range(key: Key) -> range:
    match key:
        case "state":
            return range(len(get_args(State)))
        case "severity":
            return range(len(get_args(Severity)))
        case "raised_at":
            latest = (datetime.max.replace(tzinfo=UTC) - BEGINNING) // _MILLISECOND
            return range(-latest, 1)
        case _:
            return range(-(2**63) + 1, 1)


def _is_of(source: str, sources: frozenset[str]) -> bool:
    exact, prefixes = split_sources(sources)
    return source in exact or source.startswith(prefixes)

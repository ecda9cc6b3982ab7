"""Selects the alarms and events of a subscription or a webhook."""

from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from core.alarm.alarm import SEVERITY_RANK, Alarm, Severity
from core.alarm.bounds import LABEL_BYTES, LABELS, NAME_BYTES, check_text
from core.alarm.events import Event
from core.errors import InvalidInput

FILTER_VALUES = 100
"""How many sources, types or alarm ids one filter can name."""
PREFIX_DEPTH = 16
"""How many slashes a source's prefix can have."""

Verdict = Literal["no", "matched", "left"]
"""`left`: the alarm matched before the event and no longer does."""


class Filter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Conditions that must all hold; an empty one holds for every alarm.

    A source is exact, or `prefix/*` for all that start with `prefix/`. Every label named must have its
    value. Equal filters have the same hash.
    """

    sources: frozenset[str] = frozenset()
    types: frozenset[str] = frozenset()
    min_severity: Severity | None = None
    alarm_ids: frozenset[str] = frozenset()
    labels: dict[str, str] = {}

    def __hash__(self) -> int:
        labels = frozenset(self.labels.items())
        return hash((self.sources, self.types, self.min_severity, self.alarm_ids, labels))

    def check(self, most: int = FILTER_VALUES) -> None:
        """Check every part's size, at most `most` values of a kind. Raises InvalidInput, naming the part."""
        for name in ("sources", "types", "alarm_ids"):
            values = getattr(self, name)
            if len(values) > most:
                raise InvalidInput(f"a filter has at most {most} {name}, not {len(values)}")
            for value in values:
                check_text(f"one of the filter's {name}", value, NAME_BYTES)
        for source in self.sources:
            _check_source(source)
        if len(self.labels) > LABELS:
            raise InvalidInput(f"a filter has at most {LABELS} labels, not {len(self.labels)}")
        for key, value in self.labels.items():
            check_text("the name of one of the filter's labels", key, LABEL_BYTES)
            check_text("the value of one of the filter's labels", value, LABEL_BYTES)


class Matcher:
    """A filter prepared for matching many alarms."""

    __slots__ = ("_alarm_ids", "_exact", "_labels", "_prefixes", "_rank", "_types")

    def __init__(self, wanted: Filter) -> None:
        self._exact, self._prefixes = split_sources(wanted.sources)
        self._types = wanted.types
        self._alarm_ids = wanted.alarm_ids
        self._rank = lowest_rank(wanted)
        self._labels = tuple(wanted.labels.items())

    def matches(self, alarm: Alarm) -> bool:
        """Tell whether the alarm matches as it stands."""
        return self._concerns(alarm) and self._holds(alarm.severity, alarm.labels)

    def verdict(self, event: Event) -> Verdict:
        """Tell whether the event's alarm matches after the event, matched only before it, or neither."""
        alarm = event.alarm
        if not self._concerns(alarm):
            return "no"
        if self._holds(alarm.severity, alarm.labels):
            return "matched"
        previous = previous_of(event)
        if previous and self._holds(
            previous.get("severity", alarm.severity), previous.get("labels", alarm.labels)
        ):
            return "left"
        return "no"

    def _concerns(self, alarm: Alarm) -> bool:
        """Tell whether the fields match that no event changes."""
        if self._exact or self._prefixes:
            source = alarm.source
            if source not in self._exact and not source.startswith(self._prefixes):
                return False
        if self._types and alarm.type not in self._types:
            return False
        return not self._alarm_ids or alarm.id in self._alarm_ids

    def _holds(self, severity: Severity, labels: dict[str, str]) -> bool:
        if SEVERITY_RANK[severity] < self._rank:
            return False
        return not self._labels or all(labels.get(key) == value for key, value in self._labels)


def previous_of(event: Event) -> dict[str, Any]:
    """Return the old values of the fields that filters use and the event changed."""
    previous: dict[str, Any] = event.data.get("previous") or {}
    return previous


def lowest_rank(wanted: Filter) -> int:
    """Return the lowest severity rank that matches."""
    return 0 if wanted.min_severity is None else SEVERITY_RANK[wanted.min_severity]


def split_sources(sources: Iterable[str]) -> tuple[frozenset[str], tuple[str, ...]]:
    """Return the exact sources, and the prefixes with their final slash."""
    exact = frozenset(source for source in sources if not source.endswith("/*"))
    return exact, tuple(sorted(source[:-1] for source in sources if source.endswith("/*")))


def prefix_of(source: str, slashes: int) -> str | None:
    """Return the source up to its n-th slash (n = `slashes`), None if it has fewer."""
    end = -1
    for _ in range(slashes):
        end = source.find("/", end + 1)
        if end < 0:
            return None
    return source[: end + 1]


def _check_source(source: str) -> None:
    if source == "*":
        raise InvalidInput("leave the filter's sources out to match every source")
    if source.endswith("/*") and source.count("/") > PREFIX_DEPTH:
        raise InvalidInput(f"a prefix in a filter's sources has at most {PREFIX_DEPTH} slashes")

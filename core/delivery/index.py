"""Finds the filters that an event may match; the cost grows with these, not with all filters.

Filters that look at the same parts of an alarm have the same shape, and there are few shapes. For each
shape in use, the event's own parts are the key under which matching filters are filed.
"""

from collections.abc import Hashable, Iterable, Iterator
from itertools import product
from typing import Generic, NamedTuple, TypeVar

from core.alarm.alarm import SEVERITY_RANK, Alarm
from core.alarm.events import Event
from core.lists.filter import Filter, lowest_rank, prefix_of, previous_of, split_sources

KEYS = 256
"""Under how many keys one filter is filed at most; the matcher checks its further parts."""

_ANY, _ALARM, _SOURCE = -2, -1, 0
"""Places by number; a positive number is a prefix of so many slashes."""

_Label = tuple[str, str]
_NO_LABEL = (None,)
Item = TypeVar("Item", bound=Hashable)


class _Shape(NamedTuple):
    """The parts of the key: the place (an alarm, a source, a prefix of so many slashes), type, label."""

    place: int
    typed: bool
    labelled: bool


class _Key(NamedTuple):
    place: int
    value: str
    type: str | None
    label: _Label | None

    @property
    def shape(self) -> _Shape:
        return _Shape(self.place, self.type is not None, self.label is not None)


class Index(Generic[Item]):
    """One tenant's filters. A candidate may match; its matcher decides."""

    def __init__(self) -> None:
        self._shapes: dict[_Shape, int] = {}
        # By key, then by the lowest severity rank that the filter wants.
        self._filed: dict[tuple[int, str | None, str | None, _Label | None], dict[int, dict[Item, None]]] = {}

    def __bool__(self) -> bool:
        return bool(self._filed)

    def add(self, wanted: Filter, item: Item) -> None:
        """File the item under its filter."""
        rank = lowest_rank(wanted)
        for key in _keys(wanted):
            if key not in self._filed:
                self._shapes[key.shape] = self._shapes.get(key.shape, 0) + 1
            self._filed.setdefault(key, {}).setdefault(rank, {})[item] = None

    def remove(self, wanted: Filter, item: Item) -> None:
        """Remove the item, which must have been added with this filter."""
        rank = lowest_rank(wanted)
        for key in _keys(wanted):
            ranks = self._filed[key]
            del ranks[rank][item]
            if not ranks[rank]:
                del ranks[rank]
            if not ranks:
                del self._filed[key]
                self._forget(key.shape)

    def candidates(self, event: Event) -> dict[Item, None]:
        """Return the items whose filter the event may match."""
        alarm = event.alarm
        rank = SEVERITY_RANK[alarm.severity]
        labels: Iterable[_Label] = alarm.labels.items()
        previous = previous_of(event)
        if previous:
            rank = max(rank, SEVERITY_RANK[previous.get("severity", alarm.severity)])
            labels = alarm.labels.items() | previous.get("labels", {}).items()
        candidates: dict[Item, None] = {}
        for place, typed, labelled in self._shapes:
            value = _value(alarm, place)
            of_type = alarm.type if typed else None
            for label in labels if labelled else _NO_LABEL:
                ranks = self._filed.get((place, value, of_type, label))
                if ranks is not None:
                    for lowest, items in ranks.items():
                        if lowest <= rank:
                            candidates.update(items)
        return candidates

    def _forget(self, shape: _Shape) -> None:
        self._shapes[shape] -= 1
        if not self._shapes[shape]:
            del self._shapes[shape]


def _value(alarm: Alarm, place: int) -> str | None:
    """Return the alarm's part at this place of a key, None where it has none."""
    if place == _SOURCE:
        return alarm.source
    if place > 0:
        return prefix_of(alarm.source, place)
    return alarm.id if place == _ALARM else ""


def _keys(wanted: Filter) -> Iterator[_Key]:
    places = list(_places(wanted))
    types: list[str | None] = [*sorted(wanted.types)] or [None]
    if len(places) * len(types) > KEYS:
        types = [None]
    label = min(wanted.labels.items(), default=None)
    for (place, value), of_type in product(places, types):
        yield _Key(place, value, of_type, label)


def _places(wanted: Filter) -> Iterator[tuple[int, str]]:
    if wanted.alarm_ids:
        for alarm_id in wanted.alarm_ids:
            yield _ALARM, alarm_id
    elif wanted.sources:
        exact, prefixes = split_sources(wanted.sources)
        for source in exact:
            yield _SOURCE, source
        for prefix in prefixes:
            yield prefix.count("/"), prefix
    else:
        yield _ANY, ""

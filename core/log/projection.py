"""From events to the alarm list: the newest row of each alarm, and the fold that proves it."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Literal

import msgspec

from core.alarm.alarm import Alarm
from core.alarm.events import SCHEMA_VERSION, Event, Recorded, Snapshot
from core.alarm.evolution import evolve
from core.alarm.facts import FACT_TYPES
from core.errors import UnknownEvent

FindingKind = Literal["position", "revision", "snapshot", "time", "event_id"]


class Finding(msgspec.Struct, frozen=True, gc=False):
    """Something in the log that must not be: at which position, of which stream, and what."""

    kind: FindingKind
    position: int
    stream: str
    detail: str


def newest_events(events: Iterable[Event]) -> dict[str, Event]:
    """Return each alarm's newest of these events, in whatever order they come.

    Raises:
        UnknownEvent: one was written by a newer version.
    """
    newest: dict[str, Event] = {}
    for event in events:
        check_known(event)
        known = newest.get(event.stream)
        if known is None or known.position < event.position:
            newest[event.stream] = event
    return newest


def newest_rows(events: Iterable[Event]) -> dict[str, Alarm]:
    """Return the newest row of each alarm in the events, by their snapshots. Raises UnknownEvent."""
    return {stream: event.alarm for stream, event in newest_events(events).items()}


def check_known(event: Recorded | Snapshot) -> None:
    """Raise UnknownEvent for an event of a newer version."""
    if event.v > SCHEMA_VERSION or event.type not in FACT_TYPES:
        raise UnknownEvent(event.type, event.v, event.position)


def differing_fields(expected: Alarm, found: Alarm) -> dict[str, tuple[object, object]]:
    """Return the fields in which the two differ, each with both values."""
    return {
        name: (getattr(expected, name), getattr(found, name))
        for name in Alarm.__struct_fields__
        if getattr(expected, name) != getattr(found, name)
    }


class Fold:
    """The alarms as the log's events make them, from each one's first event on.

    Its memory grows with the number of alarms, not of events.
    """

    def __init__(self) -> None:
        self._alarms: dict[str, Alarm] = {}
        self._changed: dict[str, Alarm] = {}
        self.position = 0
        """The position of the newest event folded in."""
        self.event_id = ""
        """That event's id."""

    @property
    def alarms(self) -> Mapping[str, Alarm]:
        """Every alarm as it stands at `position`, by id."""
        return self._alarms

    def before(self, event: Recorded) -> Alarm:
        """Return the alarm that the event is about, as it stands."""
        return self._alarms.get(event.stream) or Alarm.absent(event.stream)

    def add(self, event: Recorded) -> Alarm:
        """Fold in the next event; return its alarm afterwards. Raises UnknownEvent."""
        after = evolve(self.before(event), event)
        self._alarms[event.stream] = self._changed[event.stream] = after
        self.position, self.event_id = event.position, event.event_id
        return after

    def changed(self) -> dict[str, Alarm]:
        """Return the alarms that changed since the last call."""
        changed, self._changed = self._changed, {}
        return changed


class Audit:
    """The fold of a log, held against what its events say of themselves."""

    def __init__(self) -> None:
        self.fold = Fold()
        self._at: datetime | None = None

    def add(self, event: Event) -> list[Finding]:
        """Fold in the next event; return what is wrong with it. The fold goes on from it as it is.

        Raises:
            UnknownEvent: it was written by a newer version.
        """
        position, before = self.fold.position, self.fold.before(event)
        after = self.fold.add(event)
        # Most logs are sound: one comparison each, and words only for what is wrong. The snapshot of an
        # earlier version has another shape, and nobody relies on it.
        found: list[Finding] = []
        if (
            event.position != position + 1
            or event.revision != before.revision + 1
            or (event.alarm != after and event.v == SCHEMA_VERSION)
            or (self._at is not None and event.at < self._at)
        ):
            wrong = self._wrong(position, before, after, event)
            found = [Finding(kind, event.position, event.stream, detail) for kind, detail in wrong]
        self._at = event.at
        return found

    def _wrong(
        self, position: int, before: Alarm, after: Alarm, event: Event
    ) -> Iterator[tuple[FindingKind, str]]:
        if event.position != position + 1:
            yield "position", f"follows {position}"
        if event.revision != before.revision + 1:
            yield "revision", f"revision {event.revision} follows {before.revision}"
        if self._at is not None and event.at < self._at:
            yield "time", f"recorded at {event.at.isoformat()}, before the event in front of it"
        if event.v == SCHEMA_VERSION:
            for name, (folded, stored) in differing_fields(after, event.alarm).items():
                yield "snapshot", f"{name} is {stored!r}, its fold is {folded!r}"

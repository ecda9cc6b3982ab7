"""The log held against itself: each event against the fold of all before it."""

from collections.abc import Iterator
from datetime import datetime
from typing import Literal

import msgspec

from core.alarm.alarm import Alarm
from core.alarm.events import SCHEMA_VERSION, Event
from core.log.projection import Fold

FindingKind = Literal["position", "revision", "snapshot", "time", "event_id"]


class Finding(msgspec.Struct, frozen=True, gc=False):
    """Something in the log that must not be: at which position, of which stream, and what."""

    kind: FindingKind
    position: int
    stream: str
    detail: str


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


def differing_fields(expected: Alarm, found: Alarm) -> dict[str, tuple[object, object]]:
    """Return the fields in which the two differ, each with both values."""
    return {
        name: (getattr(expected, name), getattr(found, name))
        for name in Alarm.__struct_fields__
        if getattr(expected, name) != getattr(found, name)
    }

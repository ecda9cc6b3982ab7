"""Audits the log: compares each event with the fold of all events before it."""

from collections.abc import Iterator
from datetime import datetime
from typing import Literal

import msgspec

from core.alarm.alarm import Alarm
from core.alarm.events import SCHEMA_VERSION, Event
from core.log.folding import Fold

FindingKind = Literal["position", "revision", "snapshot", "time", "event_id"]


class Finding(msgspec.Struct, frozen=True, gc=False):
    """A fault in the log: its position, its stream and what is wrong."""

    kind: FindingKind
    position: int
    stream: str
    detail: str


class Audit:
    """Folds a log and compares the fold with what each event claims."""

    def __init__(self) -> None:
        self.fold = Fold()
        self._at: datetime | None = None

    def add(self, event: Event) -> list[Finding]:
        """Fold in the next event, even if it is faulty, and return its faults.

        Raises:
            UnknownEvent: a newer version wrote the event.
        """
        position, before = self.fold.position, self.fold.before(event)
        after = self.fold.add(event)
        # Most events are sound, so only a faulty one pays for the detailed comparison. The snapshot of an
        # earlier version has another shape, and nothing relies on it.
        findings: list[Finding] = []
        if (
            event.position != position + 1
            or event.revision != before.revision + 1
            or (event.alarm != after and event.v == SCHEMA_VERSION)
            or (self._at is not None and event.at < self._at)
        ):
            faults = self._faults(position, before, after, event)
            findings = [Finding(kind, event.position, event.stream, detail) for kind, detail in faults]
        self._at = event.at
        return findings

    def _faults(
        self, position: int, before: Alarm, after: Alarm, event: Event
    ) -> Iterator[tuple[FindingKind, str]]:
        if event.position != position + 1:
            yield "position", f"follows {position}"
        if event.revision != before.revision + 1:
            yield "revision", f"revision {event.revision} follows {before.revision}"
        if self._at is not None and event.at < self._at:
            yield "time", f"recorded at {event.at.isoformat()}, before the event that it follows"
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

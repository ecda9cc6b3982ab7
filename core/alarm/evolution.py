"""Applies events to alarms (`evolve`) and places decided events in the log (`place`)."""

from datetime import datetime

from msgspec.structs import force_setattr, replace

from core.alarm.alarm import Alarm, state_of
from core.alarm.events import Event, Recorded
from core.alarm.facts import Fact


def evolve(alarm: Alarm, event: Recorded) -> Alarm:
    """Return the alarm after the event. Raises UnknownEvent for an event of a newer version."""
    return applied(alarm, event, event.fact)


def place(before: Alarm, event: Event, position: int, not_before: datetime | None) -> Event:
    """Return the decided event as the log records it: at `position`, and no earlier than `not_before`."""
    if not_before is not None and event.at < not_before:
        event = replace(event, at=not_before, alarm=evolve(before, replace(event, at=not_before)))
    return replace(event, position=position, alarm=replace(event.alarm, position=position))


def applied(alarm: Alarm, event: Recorded, fact: Fact) -> Alarm:
    """Return the alarm after the event, given the event's typed fact."""
    changes = fact.changes(alarm, event)
    after = replace(alarm, **changes, revision=event.revision, position=event.position, updated_at=event.at)
    # Nobody else holds the copy yet, and a second copy would double the cost.
    force_setattr(after, "state", state_of(after))
    return after

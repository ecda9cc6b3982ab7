"""What an event makes of an alarm: `evolve` applies it, `place` puts it at its position in the log."""

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
    """Return the alarm after the event whose fact is `fact`."""
    changes = fact.changes(alarm, event)
    after = replace(alarm, **changes, revision=event.revision, position=event.position, updated_at=event.at)
    # Nobody has seen it yet: a second copy would cost as much as all the rest.
    force_setattr(after, "state", state_of(after))
    return after

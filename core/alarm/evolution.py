"""What an event makes of an alarm: `evolve` applies it, `place` puts it at its position in the log."""

from datetime import datetime
from typing import Any, assert_never

from msgspec import UNSET
from msgspec.structs import force_setattr, replace

from core.alarm.alarm import Alarm, state_of
from core.alarm.events import (
    Acknowledged,
    Assigned,
    Cleared,
    Commented,
    Confirmed,
    Event,
    Fact,
    PlacedInService,
    Raised,
    Recorded,
    RemovedFromService,
    Shelved,
    Suppressed,
    Unassigned,
    Unshelved,
    Unsuppressed,
    Updated,
    WasReset,
)

Changes = dict[str, Any]

_SHOWN = (
    "severity",
    "origins",
    "text",
    "labels",
    "details",
    "event_type",
    "probable_cause",
    "annunciate",
    "latched",
)
_NOT_ACKED: Changes = {"acked": False, "acked_at": None, "acked_by": None, "confirmed": None}
_UNSHELVED: Changes = {
    "shelving": "unshelved",
    "shelved_until": None,
    "shelved_by": None,
    "shelf_reason": None,
}


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
    changes = _changes(alarm, event, fact)
    after = replace(alarm, **changes, revision=event.revision, position=event.position, updated_at=event.at)
    # Nobody has seen it yet: a second copy would cost as much as all the rest.
    force_setattr(after, "state", state_of(after))
    return after


def _changes(alarm: Alarm, event: Recorded, fact: Fact) -> Changes:  # noqa: C901, PLR0911, PLR0912 (one case a fact)
    match fact:
        case Raised():
            return _raised(alarm, event, fact)
        case Updated():
            return _updated(alarm, event, fact)
        case Cleared():
            return _cleared(alarm, event, fact)
        case Acknowledged():
            return {"acked": True, "acked_at": event.at, "acked_by": event.actor.id, "confirmed": False}
        case Confirmed():
            return {"confirmed": True}
        case WasReset():
            return {"active": False, "latched": False} | (_UNSHELVED if fact.unshelved else {})
        case Shelved():
            return _shelved(event, fact)
        case Unshelved():
            return _UNSHELVED
        case Suppressed():
            return {"suppressed": True}
        case Unsuppressed():
            return {"suppressed": False}
        case RemovedFromService():
            return {"out_of_service": True}
        case PlacedInService():
            return {"out_of_service": False}
        case Assigned():
            return {"assignee": fact.assignee}
        case Unassigned():
            return {"assignee": None}
        case Commented():
            return {"comment_count": alarm.comment_count + 1}
        case _:
            assert_never(fact)


def _raised(alarm: Alarm, event: Recorded, fact: Raised) -> Changes:
    return _NOT_ACKED | {
        "tenant": event.tenant,
        "source": fact.source,
        "type": fact.type,
        "qualifier": fact.qualifier,
        "severity": fact.severity,
        "origins": fact.origins,
        "text": fact.text,
        "labels": fact.labels,
        "details": fact.details,
        "event_type": fact.event_type,
        "probable_cause": fact.probable_cause,
        "annunciate": fact.annunciate,
        "latched": fact.latched,
        "active": True,
        "occurrence": alarm.occurrence + 1,
        "announced_revision": event.revision,
        "raised_at": event.at,
        "cleared_at": None,
        "occurred_at": event.occurred_at,
    }


def _updated(alarm: Alarm, event: Recorded, fact: Updated) -> Changes:
    changes = {name: getattr(fact, name) for name in _SHOWN if getattr(fact, name) is not UNSET}
    if fact.reannounced:
        changes |= _NOT_ACKED | {"announced_revision": event.revision}
    if fact.origins and not alarm.origins:
        # A latched alarm's condition came back: it is cleared no longer.
        changes |= {"cleared_at": None, "occurred_at": event.occurred_at}
    return changes


def _cleared(alarm: Alarm, event: Recorded, fact: Cleared) -> Changes:
    # A latched alarm stays active until its reset; what is gone is the condition.
    changes: Changes = {
        "active": alarm.latched,
        "origins": {},
        "cleared_at": event.at,
        "occurred_at": event.occurred_at,
    }
    return changes | (_UNSHELVED if fact.unshelved else {})


def _shelved(event: Recorded, fact: Shelved) -> Changes:
    return {
        "shelving": fact.shelving,
        "shelved_until": fact.until,
        "shelved_by": event.actor.id,
        "shelf_reason": fact.reason,
    }

"""What can happen to an alarm: each fact, the name it is stored under, and what it makes of the alarm.

The names and fields here are stored for good: a new field gets a default, none is ever retyped.
"""

from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

import msgspec
from msgspec import UNSET, UnsetType

from core.alarm.alarm import Alarm, Origin, Severity

if TYPE_CHECKING:
    from core.alarm.events import Recorded

Changes = dict[str, Any]
"""New values of an alarm's fields, by name."""

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


class Previous(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What a field that filters look at was before the event, where the event changed it."""

    severity: Severity | UnsetType = UNSET
    labels: dict[str, str] | UnsetType = UNSET


class Switch(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """A fact that makes the same of every alarm: the values that `becomes` names."""

    becomes: ClassVar[Changes]

    def changes(self, _: Alarm, __: "Recorded") -> Changes:
        """Return what becomes of the alarm's fields."""
        return self.becomes


class Raised(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """The condition came: the alarm is active and unacknowledged, one occurrence more."""

    stored_as: ClassVar[str] = "alarm.raised"

    source: str
    type: str
    qualifier: str
    severity: Severity
    origins: dict[str, Origin]
    text: str = ""
    labels: dict[str, str] = {}
    details: dict[str, Any] = {}
    event_type: str | None = None
    probable_cause: str | None = None
    annunciate: bool = True
    latched: bool = False
    previous: Previous | UnsetType = UNSET

    def changes(self, alarm: Alarm, event: "Recorded") -> Changes:
        """Return a new occurrence that nobody has acknowledged."""
        return _NOT_ACKED | {
            "tenant": event.tenant,
            "source": self.source,
            "type": self.type,
            "qualifier": self.qualifier,
            "severity": self.severity,
            "origins": self.origins,
            "text": self.text,
            "labels": self.labels,
            "details": self.details,
            "event_type": self.event_type,
            "probable_cause": self.probable_cause,
            "annunciate": self.annunciate,
            "latched": self.latched,
            "active": True,
            "occurrence": alarm.occurrence + 1,
            "announced_revision": event.revision,
            "raised_at": event.at,
            "cleared_at": None,
            "occurred_at": event.occurred_at,
        }


class Updated(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """Something about an active alarm changed; only what changed is set.

    `reannounced`: the severity rose, or a latched alarm's condition came back, so the alarm is
    unacknowledged again (ISA-18.2 §11.4).
    """

    stored_as: ClassVar[str] = "alarm.updated"

    severity: Severity | UnsetType = UNSET
    origins: dict[str, Origin] | UnsetType = UNSET
    text: str | UnsetType = UNSET
    labels: dict[str, str] | UnsetType = UNSET
    details: dict[str, Any] | UnsetType = UNSET
    event_type: str | UnsetType | None = UNSET
    probable_cause: str | UnsetType | None = UNSET
    annunciate: bool | UnsetType = UNSET
    latched: bool | UnsetType = UNSET
    reannounced: bool = False
    previous: Previous | UnsetType = UNSET

    def changes(self, alarm: Alarm, event: "Recorded") -> Changes:
        """Return what is set; operators are called again where it was reannounced."""
        changes = {name: getattr(self, name) for name in _SHOWN if getattr(self, name) is not UNSET}
        if self.reannounced:
            changes |= _NOT_ACKED | {"announced_revision": event.revision}
        if self.origins and not alarm.origins:
            # A latched alarm's condition came back: it is cleared no longer.
            changes |= {"cleared_at": None, "occurred_at": event.occurred_at}
        return changes


class Cleared(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """The condition is gone from its last origin (`origin`, unless all were cleared at once): RTN.

    A latched alarm stays active all the same. `unshelved`: its one-shot shelf ended with it.
    """

    stored_as: ClassVar[str] = "alarm.cleared"

    origin: str | None = None
    unshelved: bool = False

    def changes(self, alarm: Alarm, event: "Recorded") -> Changes:
        """Return that no origin is left; a latched alarm stays active until its reset."""
        changes: Changes = {
            "active": alarm.latched,
            "origins": {},
            "cleared_at": event.at,
            "occurred_at": event.occurred_at,
        }
        return changes | (_UNSHELVED if self.unshelved else {})


class Acknowledged(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """An operator took note of the alarm as it stood at `seen_revision`."""

    stored_as: ClassVar[str] = "alarm.acknowledged"

    seen_revision: int

    def changes(self, _: Alarm, event: "Recorded") -> Changes:
        """Return by whom and when it was acknowledged."""
        return {"acked": True, "acked_at": event.at, "acked_by": event.actor.id, "confirmed": False}


class Confirmed(Switch, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """An operator has seen to the alarm."""

    stored_as: ClassVar[str] = "alarm.confirmed"
    becomes: ClassVar[Changes] = {"confirmed": True}


class WasReset(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """A latched alarm whose condition was gone returned to normal; `unshelved`: its one-shot shelf ended."""

    stored_as: ClassVar[str] = "alarm.reset"

    unshelved: bool = False

    def changes(self, _: Alarm, __: "Recorded") -> Changes:
        """Return that it is neither latched nor active."""
        return {"active": False, "latched": False} | (_UNSHELVED if self.unshelved else {})


class Shelved(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """The alarm is out of sight, until `until` (timed) or its next return to normal (one_shot)."""

    stored_as: ClassVar[str] = "alarm.shelved"

    shelving: Literal["timed", "one_shot"]
    until: datetime | None = None
    reason: str = ""

    def changes(self, _: Alarm, event: "Recorded") -> Changes:
        """Return by whom, until when and why it is shelved."""
        return {
            "shelving": self.shelving,
            "shelved_until": self.until,
            "shelved_by": event.actor.id,
            "shelf_reason": self.reason,
        }


class Unshelved(Switch, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """The alarm is in sight again."""

    stored_as: ClassVar[str] = "alarm.unshelved"
    becomes: ClassVar[Changes] = _UNSHELVED

    cause: Literal["operator", "expired"]


class Suppressed(Switch, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """The alarm is suppressed by design."""

    stored_as: ClassVar[str] = "alarm.suppressed"
    becomes: ClassVar[Changes] = {"suppressed": True}

    reason: str = ""


class Unsuppressed(Switch, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """The alarm is no longer suppressed by design."""

    stored_as: ClassVar[str] = "alarm.unsuppressed"
    becomes: ClassVar[Changes] = {"suppressed": False}

    reason: str = ""


class RemovedFromService(Switch, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """The alarm is out of service."""

    stored_as: ClassVar[str] = "alarm.removed_from_service"
    becomes: ClassVar[Changes] = {"out_of_service": True}

    reason: str


class PlacedInService(Switch, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """The alarm is in service again."""

    stored_as: ClassVar[str] = "alarm.placed_in_service"
    becomes: ClassVar[Changes] = {"out_of_service": False}

    reason: str


class Assigned(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """Somebody sees to the alarm."""

    stored_as: ClassVar[str] = "alarm.assigned"

    assignee: str

    def changes(self, _: Alarm, __: "Recorded") -> Changes:
        """Return who sees to it."""
        return {"assignee": self.assignee}


class Unassigned(Switch, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """Nobody sees to the alarm any more."""

    stored_as: ClassVar[str] = "alarm.unassigned"
    becomes: ClassVar[Changes] = {"assignee": None}


class Commented(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """Somebody said something about the alarm."""

    stored_as: ClassVar[str] = "alarm.commented"

    text: str

    def changes(self, alarm: Alarm, _: "Recorded") -> Changes:
        """Return one comment more."""
        return {"comment_count": alarm.comment_count + 1}


Fact = (
    Raised
    | Updated
    | Cleared
    | Acknowledged
    | Confirmed
    | WasReset
    | Shelved
    | Unshelved
    | Suppressed
    | Unsuppressed
    | RemovedFromService
    | PlacedInService
    | Assigned
    | Unassigned
    | Commented
)

FACTS: tuple[type[Fact], ...] = get_args(Fact)
FACT_TYPES: dict[str, type[Fact]] = {fact.stored_as: fact for fact in FACTS}
"""By the name each is stored under."""

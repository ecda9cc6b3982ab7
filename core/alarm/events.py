"""What happened: the facts that change an alarm, and the event that records one in the log.

The names and versions here are stored for good: a new field gets a default, none is ever retyped.
"""

from datetime import datetime
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from core.alarm.alarm import Alarm, Origin, Severity
from core.alarm.upcasting import upcast_data
from core.errors import UnknownEvent

ActorKind = Literal["source", "operator", "system"]


class Actor(msgspec.Struct, frozen=True, gc=False):
    """Who caused an event."""

    id: str
    kind: ActorKind


class Previous(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What a field that filters look at was before the event, where the event changed it."""

    severity: Severity | UnsetType = UNSET
    labels: dict[str, str] | UnsetType = UNSET


class Raised(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """The condition came: the alarm is active and unacknowledged, one occurrence more."""

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


class Updated(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """Something about an active alarm changed; only what changed is set.

    `reannounced`: the severity rose, or a latched alarm's condition came back, so the alarm is
    unacknowledged again (ISA-18.2 §11.4).
    """

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


class Cleared(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """The condition is gone from its last origin (`origin`, unless all were cleared at once): RTN.

    A latched alarm stays active all the same. `unshelved`: its one-shot shelf ended with it.
    """

    origin: str | None = None
    unshelved: bool = False


class Acknowledged(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """An operator took note of the alarm as it stood at `seen_revision`."""

    seen_revision: int


class Confirmed(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """An operator has seen to the alarm."""


class WasReset(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """A latched alarm whose condition was gone returned to normal; `unshelved`: its one-shot shelf ended."""

    unshelved: bool = False


class Shelved(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """The alarm is out of sight, until `until` (timed) or its next return to normal (one_shot)."""

    shelving: Literal["timed", "one_shot"]
    until: datetime | None = None
    reason: str = ""


class Unshelved(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """The alarm is in sight again."""

    cause: Literal["operator", "expired"]


class Suppressed(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """The alarm is suppressed by design."""

    reason: str = ""


class Unsuppressed(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """The alarm is no longer suppressed by design."""

    reason: str = ""


class RemovedFromService(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """The alarm is out of service."""

    reason: str


class PlacedInService(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """The alarm is in service again."""

    reason: str


class Assigned(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """Somebody sees to the alarm."""

    assignee: str


class Unassigned(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """Nobody sees to the alarm any more."""


class Commented(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """Somebody said something about the alarm."""

    text: str


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

FACT_TYPES: dict[str, type[Fact]] = {
    "alarm.raised": Raised,
    "alarm.updated": Updated,
    "alarm.cleared": Cleared,
    "alarm.acknowledged": Acknowledged,
    "alarm.confirmed": Confirmed,
    "alarm.reset": WasReset,
    "alarm.shelved": Shelved,
    "alarm.unshelved": Unshelved,
    "alarm.suppressed": Suppressed,
    "alarm.unsuppressed": Unsuppressed,
    "alarm.removed_from_service": RemovedFromService,
    "alarm.placed_in_service": PlacedInService,
    "alarm.assigned": Assigned,
    "alarm.unassigned": Unassigned,
    "alarm.commented": Commented,
}
FACT_NAMES: dict[type[Fact], str] = {fact: name for name, fact in FACT_TYPES.items()}
SCHEMA_VERSION = 1
"""The version of `data` and `alarm` that this code writes."""


class Recorded(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One fact, when and by whom: what a fold needs of an event.

    `position` is 0 until the log has placed the event; `at` is when the service recorded it, `occurred_at`
    when the source says it happened (UTC, ms). `data` is the fact as it is stored (see `fact`).
    """

    position: int = 0
    event_id: str
    stream: str
    revision: int
    tenant: str
    type: str
    v: int = SCHEMA_VERSION
    at: datetime
    occurred_at: datetime
    actor: Actor
    data: dict[str, Any]

    @property
    def fact(self) -> Fact:
        """The typed fact in `data`, brought up to the present version.

        Raises:
            UnknownEvent: the type or its version is newer than this code.
        """
        known = FACT_TYPES.get(self.type)
        if known is None or self.v > SCHEMA_VERSION:
            raise UnknownEvent(self.type, self.v, self.position)
        return msgspec.convert(upcast_data(self.type, self.data, self.v, SCHEMA_VERSION), known)


class Snapshot(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The alarm after an event, as the event of this position, type and version carries it."""

    position: int
    stream: str
    revision: int
    type: str
    v: int
    alarm: Alarm


class Event(Recorded, frozen=True, kw_only=True, gc=False):
    """What the log records: one fact, and the alarm as it stands afterwards.

    `command_id`, `command_hash`: the Idempotency-Key it came with and the hash of that request. `trace`: its
    W3C traceparent.
    """

    command_id: str | None = None
    command_hash: str | None = None
    trace: str | None = None
    alarm: Alarm

    @property
    def snapshot(self) -> Snapshot:
        """The alarm afterwards, and which event it is after."""
        return Snapshot(
            position=self.position,
            stream=self.stream,
            revision=self.revision,
            type=self.type,
            v=self.v,
            alarm=self.alarm,
        )


def milliseconds(time: datetime) -> datetime:
    """Cut a time to what the log stores."""
    return time.replace(microsecond=time.microsecond // 1000 * 1000)

"""The alarm as it stands: its identity, its fields and its derived state (ISA-18.2, IEC 62682, X.733)."""

from datetime import datetime
from functools import lru_cache
from hashlib import sha1
from typing import Any, Literal
from uuid import UUID

import msgspec

Severity = Literal["critical", "major", "minor", "warning", "indeterminate"]
"""Perceived severity, X.733 §8.1.2.3."""

Shelving = Literal["unshelved", "timed", "one_shot"]

State = Literal["normal", "unacked", "acked", "rtn_unacked", "shelved", "suppressed", "out_of_service"]
"""Alarm states of ISA-18.2 §5; `rtn_unacked`: returned to normal, not yet acknowledged."""

SEVERITY_RANK: dict[Severity, int] = {"indeterminate": 0, "warning": 1, "minor": 2, "major": 3, "critical": 4}

# Part of every alarm id: changing it would split each alarm's history in two.
ALARM_NAMESPACE = UUID("5f0b7c9e-6a6d-5b52-9d0c-7a1f2c3d4e5f")
_NAMESPACE = ALARM_NAMESPACE.bytes

ALARM_ID_LENGTH = 36
"""That of a UUID; nothing longer can be an alarm's id."""
REMEMBERED_LENGTH = 2_048
"""The longest identity, without its tenant, whose id is remembered."""


class Origin(msgspec.Struct, frozen=True, gc=False):
    """One reporter that holds the alarm active: the severity it reports, and since when (UTC)."""

    severity: Severity
    since: datetime


class Alarm(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One alarm after the event at `position`; times are UTC with millisecond precision.

    `revision` counts the alarm's events from 1, `position` is the newest event's place in the log; both
    are 0 for an alarm that was never raised. `announced_revision` is the revision at which operators were
    last called to the alarm; an acknowledgement of an older revision is refused.
    """

    id: str
    tenant: str
    source: str
    type: str
    qualifier: str
    severity: Severity = "indeterminate"
    text: str = ""
    labels: dict[str, str] = {}
    details: dict[str, Any] = {}
    event_type: str | None = None
    probable_cause: str | None = None
    active: bool = False
    acked: bool = True
    confirmed: bool | None = None
    latched: bool = False
    suppressed: bool = False
    out_of_service: bool = False
    shelving: Shelving = "unshelved"
    shelved_until: datetime | None = None
    shelved_by: str | None = None
    shelf_reason: str | None = None
    state: State = "normal"
    annunciate: bool = True
    origins: dict[str, Origin] = {}
    announced_revision: int = 0
    occurrence: int = 0
    raised_at: datetime | None = None
    cleared_at: datetime | None = None
    acked_at: datetime | None = None
    acked_by: str | None = None
    assignee: str | None = None
    comment_count: int = 0
    revision: int = 0
    position: int = 0
    updated_at: datetime | None = None
    occurred_at: datetime | None = None

    @classmethod
    def absent(cls, alarm_id: str) -> "Alarm":
        """Return the alarm before its first event: where every fold starts."""
        return cls(id=alarm_id, tenant="", source="", type="", qualifier="")


class Identity(msgspec.Struct, frozen=True, gc=False):
    """Identifies the alarm that a report is about. Severity is not part of it (X.733, OPC UA Part 9)."""

    tenant: str
    source: str
    type: str
    qualifier: str = ""

    @property
    def alarm_id(self) -> str:
        """The alarm's id: UUIDv5 of the JSON array of the four parts."""
        # Parts beyond their bounds are refused later, and must not stay in memory until then and after.
        is_short = len(self.source) + len(self.type) + len(self.qualifier) <= REMEMBERED_LENGTH
        made = _remembered_id if is_short else _alarm_id
        return made(self.tenant, self.source, self.type, self.qualifier)


def _alarm_id(*parts: str) -> str:
    # `uuid5` of the standard library does the same in four times the time.
    named = _NAMESPACE + msgspec.json.encode(parts)
    value = bytearray(sha1(named, usedforsecurity=False).digest()[:16])
    value[6] = value[6] & 0x0F | 0x50
    value[8] = value[8] & 0x3F | 0x80
    text = value.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


# Each command needs the id several times, and hashing costs more than deciding.
_remembered_id = lru_cache(maxsize=4_096)(_alarm_id)


def state_of(alarm: Alarm) -> State:
    """Derive `state`: the first that holds, in ISA-18.2 §5's order of precedence."""
    if alarm.out_of_service:
        return "out_of_service"
    if alarm.suppressed:
        return "suppressed"
    if alarm.shelving != "unshelved":
        return "shelved"
    if alarm.active:
        return "acked" if alarm.acked else "unacked"
    return "normal" if alarm.acked else "rtn_unacked"

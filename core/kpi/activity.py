"""Extracts from events what the key figures count: annunciations, clears and acknowledgements."""

from datetime import datetime
from typing import Literal

import msgspec

from core.alarm.alarm import Severity
from core.alarm.events import Event
from core.log.folding import check_known

ActivityKind = Literal["annunciated", "cleared", "acknowledged"]

_IN_SIGHT = frozenset({"normal", "acked", "unacked", "rtn_unacked"})


class Activity(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One thing that happened to an annunciated alarm.

    `annunciated`: operators were called to the alarm, by a raise or a reannouncement (ISA-18.2 §11.4).
    `cleared`: its condition went. `noted`: the alarm was acknowledged by then. `seconds`: since its raise.
    """

    kind: ActivityKind
    at: datetime
    tenant: str
    alarm_id: str
    source: str
    type: str
    severity: Severity
    seconds: float = 0.0
    noted: bool = False


def activity_of(event: Event) -> Activity | None:
    """Return the event's activity, None if it has none. A shelved or suppressed alarm calls nobody.

    Raises:
        UnknownEvent: a newer version wrote the event.
    """
    check_known(event)
    alarm = event.alarm
    kind = _kind(event)
    if kind is None or not alarm.annunciate:
        return None
    since = alarm.raised_at or event.at
    return Activity(
        kind=kind,
        at=event.at,
        tenant=event.tenant,
        alarm_id=event.stream,
        source=alarm.source,
        type=alarm.type,
        severity=alarm.severity,
        seconds=(event.at - since).total_seconds(),
        noted=alarm.acked,
    )


def _kind(event: Event) -> ActivityKind | None:
    state = event.alarm.state
    match event.type:
        case "alarm.raised":
            return "annunciated" if state == "unacked" else None
        case "alarm.updated":
            return "annunciated" if state == "unacked" and event.data.get("reannounced") else None
        case "alarm.cleared":
            # An alarm whose shelf ended with the clear was out of sight before.
            return "cleared" if state in _IN_SIGHT and not event.data.get("unshelved") else None
        case "alarm.acknowledged":
            return "acknowledged" if state in _IN_SIGHT else None
        case _:
            return None

"""Commands that report the condition, raise and clear, with their rules (X.733, OPC UA Part 9 §5.8)."""

from datetime import datetime
from typing import Any, ClassVar

import msgspec
from msgspec import UNSET, UnsetType

from core.alarm import bounds
from core.alarm.alarm import SEVERITY_RANK, Alarm, Identity, Origin, Severity
from core.alarm.context import Context, OfAlarm
from core.alarm.events import milliseconds
from core.alarm.facts import Cleared, Previous, Raised, Updated
from core.errors import InvalidInput, Refusal, Refused
from core.roles import OPERATORS, REPORTERS, Roles

TOO_MANY_ORIGINS = Refusal(
    "too_many_origins", "conflict", "the alarm has the maximum number of origins", "clear one of them first"
)
NOT_ACTIVE = Refusal("not_active", "conflict", "the alarm is not active", "nothing: there is nothing to do")

_SHOWN = ("text", "labels", "details", "event_type", "probable_cause", "annunciate", "latched")


class Raise(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Report the condition at `origin`, which holds the alarm active until the origin is cleared.

    `since`: when the condition began at the origin; None: when the origin first reported it.
    `latched`: the alarm stays active until it is reset, even when the condition is gone.
    """

    name: ClassVar[str] = "raise"
    roles: ClassVar[Roles] = REPORTERS
    refusals: ClassVar[tuple[Refusal, ...]] = (TOO_MANY_ORIGINS,)

    context: Context
    identity: Identity
    severity: Severity
    text: str = ""
    labels: dict[str, str] = {}
    details: dict[str, Any] = {}
    event_type: str | None = None
    probable_cause: str | None = None
    annunciate: bool = True
    latched: bool = False
    origin: str = ""
    since: datetime | None = None

    @property
    def alarm_id(self) -> str:
        """The alarm's id."""
        return self.identity.alarm_id

    @staticmethod
    def allowed(_: Alarm) -> bool:
        """Allow a raise at any time."""
        return True

    def decide(self, alarm: Alarm) -> Raised | Updated | None:
        """Return an activation, or the changes to an active alarm; None for a repeat."""
        check_raise(self)
        origins = _with_origin(alarm, self)
        return _update(alarm, self, origins) if alarm.active else _activate(alarm, self, origins)


class Clear(OfAlarm, frozen=True, kw_only=True, gc=False):
    """Report that the condition is gone at `origin`; None: at every origin.

    `since`: when the ended condition began; if the origin's present one began later, the clear is late.
    """

    name: ClassVar[str] = "clear"
    roles: ClassVar[Roles] = OPERATORS
    roles_by_identity: ClassVar[Roles] = REPORTERS
    """The roles that may clear an alarm by its identity: devices do not know alarm ids."""
    refusals: ClassVar[tuple[Refusal, ...]] = (NOT_ACTIVE,)

    origin: str | None = None
    since: datetime | None = None

    @staticmethod
    def allowed(alarm: Alarm) -> bool:
        """Tell whether there is a condition to clear; a source may clear at any time."""
        return bool(alarm.origins)

    def decide(self, alarm: Alarm) -> Cleared | Updated | None:
        """Return Cleared for the last origin, Updated for another; None for a late clear or a repeat."""
        if not alarm.origins:
            if self.context.actor.kind == "operator":
                raise Refused(NOT_ACTIVE, "no origin holds the condition", alarm)
            return None
        ends_shelf = alarm.shelving == "one_shot" and not alarm.latched
        if self.origin is None:
            return Cleared(unshelved=ends_shelf)
        held = alarm.origins.get(self.origin)
        if held is None or (self.since is not None and milliseconds(self.since) < held.since):
            return None
        origins = {name: origin for name, origin in alarm.origins.items() if name != self.origin}
        if not origins:
            return Cleared(origin=self.origin, unshelved=ends_shelf)
        changes = _changed_origins(alarm, origins)
        return Updated(previous=_previous(alarm, _highest(origins), alarm.labels), **changes)


Condition = Raise | Clear


def check_raise(command: Raise) -> None:
    """Check every part of a raise. Raises InvalidInput, naming the part and its bound."""
    identity = command.identity
    if identity.tenant != command.context.tenant:
        raise InvalidInput("an alarm belongs to the tenant that raises it")
    for name, value in (("source", identity.source), ("type", identity.type)):
        if not value:
            raise InvalidInput(f"{name} must not be empty")
        bounds.check_printed_name(name, value, bounds.NAME_BYTES)
    bounds.check_printed_name("qualifier", identity.qualifier, bounds.NAME_BYTES)
    bounds.check_text("text", command.text, bounds.TEXT_BYTES)
    bounds.check_text("event_type", command.event_type or "", bounds.NAME_BYTES)
    bounds.check_text("probable_cause", command.probable_cause or "", bounds.NAME_BYTES)
    bounds.check_printed_name("origin", command.origin, bounds.NAME_BYTES)
    bounds.check_labels(command.labels)
    if command.details:
        bounds.check_details(command.details)


def _activate(alarm: Alarm, command: Raise, origins: dict[str, Origin]) -> Raised:
    identity = command.identity
    return Raised(
        source=identity.source,
        type=identity.type,
        qualifier=identity.qualifier,
        severity=command.severity,
        origins=origins,
        text=command.text,
        labels=command.labels,
        details=command.details,
        event_type=command.event_type,
        probable_cause=command.probable_cause,
        annunciate=command.annunciate,
        latched=command.latched,
        previous=_previous(alarm, command.severity, command.labels) if alarm.revision else UNSET,
    )


def _update(alarm: Alarm, command: Raise, origins: dict[str, Origin]) -> Updated | None:
    changes = _changed_origins(alarm, origins)
    # Only the leading origin sets the shown fields: otherwise the texts of two origins that repeat
    # their reports would alternate, and every repeat would be an event.
    if _leader(origins) == command.origin:
        for field in _SHOWN:
            value = getattr(command, field)
            if value != getattr(alarm, field):
                changes[field] = value
    if not changes:
        return None
    severity = changes.get("severity", alarm.severity)
    return Updated(
        reannounced=SEVERITY_RANK[severity] > SEVERITY_RANK[alarm.severity] or not alarm.origins,
        previous=_previous(alarm, severity, changes.get("labels", alarm.labels)),
        **changes,
    )


def _with_origin(alarm: Alarm, command: Raise) -> dict[str, Origin]:
    origins = dict(alarm.origins) if alarm.active else {}
    held = origins.get(command.origin)
    if held is None and len(origins) >= bounds.ORIGINS:
        raise Refused(TOO_MANY_ORIGINS, f"an alarm has at most {bounds.ORIGINS} origins", alarm)
    began = milliseconds(command.since or command.context.occurred_at or command.context.now)
    if held is not None and (command.since is None or began < held.since):
        began = held.since
    origins[command.origin] = Origin(command.severity, began)
    return origins


def _changed_origins(alarm: Alarm, origins: dict[str, Origin]) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    if origins != alarm.origins:
        changes["origins"] = origins
    severity = _highest(origins)
    if severity != alarm.severity:
        changes["severity"] = severity
    return changes


def _highest(origins: dict[str, Origin]) -> Severity:
    return max((origin.severity for origin in origins.values()), key=SEVERITY_RANK.__getitem__)


def _leader(origins: dict[str, Origin]) -> str:
    """Return the origin whose report is shown: the oldest of those with the highest severity."""

    def rank(name: str) -> tuple[int, datetime, str]:
        origin = origins[name]
        return -SEVERITY_RANK[origin.severity], origin.since, name

    return min(origins, key=rank)


def _previous(alarm: Alarm, severity: Severity, labels: dict[str, str]) -> Previous | UnsetType:
    if severity == alarm.severity and labels == alarm.labels:
        return UNSET
    return Previous(
        severity=alarm.severity if severity != alarm.severity else UNSET,
        labels=alarm.labels if labels != alarm.labels else UNSET,
    )

"""The condition's rules: what raising and clearing an alarm change (X.733, OPC UA Part 9 §5.8)."""

from datetime import datetime
from typing import Any

from msgspec import UNSET, UnsetType

from core.alarm import bounds
from core.alarm.alarm import SEVERITY_RANK, Alarm, Origin, Severity
from core.alarm.commands import Clear, Raise
from core.alarm.events import Cleared, Previous, Raised, Updated, milliseconds
from core.errors import Refused

_SHOWN = ("text", "labels", "details", "event_type", "probable_cause", "annunciate", "latched")


def raise_alarm(alarm: Alarm, command: Raise) -> Raised | Updated | None:
    """An activation, or what the report changes about an active alarm; None for a repeat."""
    bounds.check_raise(command)
    origins = _with_origin(alarm, command)
    return _update(alarm, command, origins) if alarm.active else _activate(alarm, command, origins)


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
    # Two rules of one alarm repeat side by side: only the leading one may write what is shown of it,
    # or their texts would take turns and every repeat would be an event.
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


def clear(alarm: Alarm, command: Clear) -> Cleared | Updated | None:
    """The last origin clears the alarm, another only itself; None for late news and repeats."""
    if not alarm.origins:
        if command.context.actor.kind == "operator":
            raise Refused("not_active", "the condition is not there", alarm)
        return None
    ends_shelf = alarm.shelving == "one_shot" and not alarm.latched
    if command.origin is None:
        return Cleared(unshelved=ends_shelf)
    held = alarm.origins.get(command.origin)
    if held is None or (command.since is not None and milliseconds(command.since) < held.since):
        return None
    origins = {name: origin for name, origin in alarm.origins.items() if name != command.origin}
    if not origins:
        return Cleared(origin=command.origin, unshelved=ends_shelf)
    changes = _changed_origins(alarm, origins)
    return Updated(previous=_previous(alarm, _highest(origins), alarm.labels), **changes)


def _with_origin(alarm: Alarm, command: Raise) -> dict[str, Origin]:
    origins = dict(alarm.origins) if alarm.active else {}
    held = origins.get(command.origin)
    if held is None and len(origins) >= bounds.ORIGINS:
        raise Refused("too_many_origins", f"an alarm has at most {bounds.ORIGINS} origins", alarm)
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
    """Name the origin that is shown: of the highest severity the one that has held it longest."""

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

"""The alarm's rules: `decide` says what a command changes, `evolve` applies it (ISA-18.2, OPC UA Part 9)."""

from datetime import datetime
from typing import Any, assert_never

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from core import bounds
from core.alarm import SEVERITY_RANK, Alarm, Origin, Severity, state_of
from core.commands import Acknowledge, Clear, Command, Context, Raise
from core.errors import Refused
from core.events import FACT_NAMES, Acknowledged, Cleared, Event, Fact, Previous, Raised, Updated


def decide(alarm: Alarm, command: Command) -> Event | None:
    """Return the one event that the command adds to the alarm, not yet placed, or None: nothing changes.

    Raises:
        Refused: the command is against the rules as the alarm stands.
    """
    fact = _fact_of(alarm, command)
    return None if fact is None else _event(alarm, command.context, fact)


def evolve(alarm: Alarm, event: Event) -> Alarm:
    """Return the alarm after the event. Raises UnknownEvent for an event of a newer version."""
    return _applied(alarm, event, event.fact)


def place(before: Alarm, event: Event, position: int, not_before: datetime | None) -> Event:
    """Return the decided event as the log records it: at `position`, and no earlier than `not_before`."""
    if not_before is not None and event.at < not_before:
        event = replace(event, at=not_before, alarm=evolve(before, replace(event, at=not_before)))
    return replace(event, position=position, alarm=replace(event.alarm, position=position))


def allowed_commands(alarm: Alarm) -> list[str]:
    """Name the commands that the alarm would not refuse as it stands."""
    allowed = ["raise"]
    if alarm.active:
        allowed.append("clear")
    if not alarm.acked:
        allowed.append("acknowledge")
    return allowed


def milliseconds(time: datetime) -> datetime:
    """Cut a time to what the log stores."""
    return time.replace(microsecond=time.microsecond // 1000 * 1000)


def _fact_of(alarm: Alarm, command: Command) -> Fact | None:
    match command:
        case Raise():
            return _raise(alarm, command)
        case Clear():
            return _clear(alarm, command)
        case Acknowledge():
            return _acknowledge(alarm, command)
        case _:
            assert_never(command)


def _raise(alarm: Alarm, command: Raise) -> Raised | Updated | None:
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
        previous=_previous(alarm, command.severity, command.labels) if alarm.revision else UNSET,
    )


def _update(alarm: Alarm, command: Raise, origins: dict[str, Origin]) -> Updated | None:
    changes = _changed_origins(alarm, origins)
    # Two rules of one alarm repeat side by side: only the leading one may write what is shown of it,
    # or their texts would take turns and every repeat would be an event.
    if _leader(origins) == command.origin:
        for field in ("text", "labels", "details", "event_type", "probable_cause", "annunciate"):
            value = getattr(command, field)
            if value != getattr(alarm, field):
                changes[field] = value
    if not changes:
        return None
    severity = changes.get("severity", alarm.severity)
    return Updated(
        reannounced=SEVERITY_RANK[severity] > SEVERITY_RANK[alarm.severity],
        previous=_previous(alarm, severity, changes.get("labels", alarm.labels)),
        **changes,
    )


def _clear(alarm: Alarm, command: Clear) -> Cleared | Updated | None:
    _check_known(alarm, command.context)
    if not alarm.active:
        if command.context.actor.kind == "operator":
            raise Refused("not_active", "the alarm is not active", alarm)
        return None
    if command.origin is None:
        return Cleared()
    held = alarm.origins.get(command.origin)
    if held is None or (command.since is not None and milliseconds(command.since) < held.since):
        return None
    origins = {name: origin for name, origin in alarm.origins.items() if name != command.origin}
    if not origins:
        return Cleared(origin=command.origin)
    changes = _changed_origins(alarm, origins)
    return Updated(previous=_previous(alarm, _highest(origins), alarm.labels), **changes)


def _acknowledge(alarm: Alarm, command: Acknowledge) -> Acknowledged:
    _check_known(alarm, command.context)
    if command.revision > alarm.revision:
        detail = f"revision {command.revision} is ahead of the alarm, which is at {alarm.revision}"
        raise Refused("revision_ahead", detail, alarm)
    if alarm.acked:
        raise Refused("already_acknowledged", "the alarm is acknowledged already", alarm)
    if command.revision < alarm.announced_revision:
        detail = f"the alarm was announced again at revision {alarm.announced_revision}; look at it first"
        raise Refused("revision_outdated", detail, alarm)
    return Acknowledged(seen_revision=command.revision)


def _check_known(alarm: Alarm, context: Context) -> None:
    # Another tenant's alarm is as good as none: its existence is not told either.
    if alarm.revision == 0 or alarm.tenant != context.tenant:
        raise Refused("unknown_alarm", "there is no such alarm")


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


def _previous(alarm: Alarm, severity: Severity, labels: dict[str, str]) -> Previous | msgspec.UnsetType:
    if severity == alarm.severity and labels == alarm.labels:
        return UNSET
    return Previous(
        severity=alarm.severity if severity != alarm.severity else UNSET,
        labels=alarm.labels if labels != alarm.labels else UNSET,
    )


def _event(alarm: Alarm, context: Context, fact: Fact) -> Event:
    now = milliseconds(context.now)
    event = Event(
        event_id=context.event_id,
        stream=alarm.id,
        revision=alarm.revision + 1,
        tenant=context.tenant,
        type=FACT_NAMES[type(fact)],
        at=now,
        occurred_at=milliseconds(context.occurred_at) if context.occurred_at else now,
        actor=context.actor,
        command_id=context.command_id,
        command_hash=context.command_hash,
        trace=context.trace,
        data=msgspec.to_builtins(fact, builtin_types=(datetime,)),
        alarm=alarm,
    )
    return replace(event, alarm=_applied(alarm, event, fact))


def _applied(alarm: Alarm, event: Event, fact: Fact) -> Alarm:
    changes: dict[str, Any]
    match fact:
        case Raised():
            changes = _raised(alarm, event, fact)
        case Updated():
            changes = _updated(event, fact)
        case Cleared():
            changes = {
                "active": False,
                "origins": {},
                "cleared_at": event.at,
                "occurred_at": event.occurred_at,
            }
        case Acknowledged():
            changes = {"acked": True, "acked_at": event.at, "acked_by": event.actor.id}
        case _:
            assert_never(fact)
    after = replace(alarm, **changes, revision=event.revision, position=event.position, updated_at=event.at)
    return replace(after, state=state_of(after))


def _raised(alarm: Alarm, event: Event, fact: Raised) -> dict[str, Any]:
    return {
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
        "active": True,
        "acked": False,
        "occurrence": alarm.occurrence + 1,
        "announced_revision": event.revision,
        "raised_at": event.at,
        "cleared_at": None,
        "acked_at": None,
        "acked_by": None,
        "occurred_at": event.occurred_at,
    }


def _updated(event: Event, fact: Updated) -> dict[str, Any]:
    shown = ("severity", "origins", "text", "labels", "details", "event_type", "probable_cause", "annunciate")
    changes = {name: getattr(fact, name) for name in shown if getattr(fact, name) is not UNSET}
    if fact.reannounced:
        changes |= {
            "acked": False,
            "acked_at": None,
            "acked_by": None,
            "announced_revision": event.revision,
        }
    return changes

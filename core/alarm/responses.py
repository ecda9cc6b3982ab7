"""What may be done about an alarm besides raising and clearing it: the rules of responses (ISA-18.2 §11)."""

from datetime import timedelta

from core.alarm import bounds
from core.alarm.alarm import Alarm
from core.alarm.commands import (
    Acknowledge,
    Assign,
    Comment,
    Context,
    PlaceInService,
    RemoveFromService,
    Shelve,
    Suppress,
    Unshelve,
    Unsuppress,
)
from core.alarm.events import (
    Acknowledged,
    Assigned,
    Commented,
    Confirmed,
    PlacedInService,
    RemovedFromService,
    Shelved,
    Suppressed,
    Unassigned,
    Unshelved,
    Unsuppressed,
    WasReset,
    milliseconds,
)
from core.errors import InvalidInput, Refused


def acknowledge(alarm: Alarm, command: Acknowledge) -> Acknowledged:
    """An operator took note of what stood at a revision; what was announced since was not seen."""
    if command.revision > alarm.revision:
        detail = f"revision {command.revision} is ahead of the alarm, which is at {alarm.revision}"
        raise Refused("revision_ahead", detail, alarm)
    if alarm.acked:
        raise Refused("already_acknowledged", "the alarm is acknowledged already", alarm)
    if command.revision < alarm.announced_revision:
        detail = f"the alarm was announced again at revision {alarm.announced_revision}; look at it first"
        raise Refused("revision_outdated", detail, alarm)
    return Acknowledged(seen_revision=command.revision)


def confirm(alarm: Alarm) -> Confirmed:
    """Only what was acknowledged can be confirmed, once."""
    if not alarm.acked or alarm.occurrence == 0:
        raise Refused("not_acknowledged", "acknowledge the alarm before confirming it", alarm)
    if alarm.confirmed:
        raise Refused("already_confirmed", "the alarm is confirmed already", alarm)
    return Confirmed()


def reset(alarm: Alarm) -> WasReset:
    """Only a latched alarm whose condition is gone can be reset."""
    if not alarm.latched:
        raise Refused("not_latched", "the alarm is not latched", alarm)
    if alarm.origins:
        raise Refused("still_active", "the condition is still there; clear it first", alarm)
    return WasReset(unshelved=alarm.shelving == "one_shot")


def shelve(alarm: Alarm, command: Shelve) -> Shelved:
    """Timed within bounds, or one-shot."""
    bounds.check_text("reason", command.reason, bounds.TEXT_BYTES)
    if command.seconds is not None and not 0 < command.seconds <= command.max_seconds:
        raise InvalidInput(f"an alarm can be shelved for more than 0 and at most {command.max_seconds:.0f} s")
    if alarm.shelving != "unshelved":
        raise Refused("already_shelved", "the alarm is shelved already", alarm)
    if command.seconds is None:
        return Shelved(shelving="one_shot", reason=command.reason)
    until = milliseconds(command.context.now + timedelta(seconds=command.seconds))
    return Shelved(shelving="timed", until=until, reason=command.reason)


def unshelve(alarm: Alarm, command: Unshelve) -> Unshelved | None:
    """By an operator; or by expiry, which is for one shelf and no other."""
    if command.expired is not None:
        is_that_shelf = alarm.shelving == "timed" and alarm.shelved_until == command.expired
        return Unshelved(cause="expired") if is_that_shelf else None
    if alarm.shelving == "unshelved":
        raise Refused("not_shelved", "the alarm is not shelved", alarm)
    return Unshelved(cause="operator")


def suppress(alarm: Alarm, command: Suppress) -> Suppressed:
    """By design, so never by hand."""
    _check_not_operator(alarm, command.context)
    bounds.check_text("reason", command.reason, bounds.TEXT_BYTES)
    if alarm.suppressed:
        raise Refused("already_suppressed", "the alarm is suppressed already", alarm)
    return Suppressed(reason=command.reason)


def unsuppress(alarm: Alarm, command: Unsuppress) -> Unsuppressed:
    """By design, so never by hand."""
    _check_not_operator(alarm, command.context)
    bounds.check_text("reason", command.reason, bounds.TEXT_BYTES)
    if not alarm.suppressed:
        raise Refused("not_suppressed", "the alarm is not suppressed", alarm)
    return Unsuppressed(reason=command.reason)


def remove_from_service(alarm: Alarm, command: RemoveFromService) -> RemovedFromService:
    """By an operator who says why."""
    _check_operator_with_reason(alarm, command.context, command.reason)
    if alarm.out_of_service:
        raise Refused("already_out_of_service", "the alarm is out of service already", alarm)
    return RemovedFromService(reason=command.reason)


def place_in_service(alarm: Alarm, command: PlaceInService) -> PlacedInService:
    """By an operator who says why."""
    _check_operator_with_reason(alarm, command.context, command.reason)
    if not alarm.out_of_service:
        raise Refused("not_out_of_service", "the alarm is in service", alarm)
    return PlacedInService(reason=command.reason)


def assign(alarm: Alarm, command: Assign) -> Assigned | None:
    """To whom it is assigned already changes nothing."""
    if not command.assignee:
        raise InvalidInput("assignee must not be empty")
    bounds.check_text("assignee", command.assignee, bounds.NAME_BYTES)
    return None if alarm.assignee == command.assignee else Assigned(assignee=command.assignee)


def unassign(alarm: Alarm) -> Unassigned | None:
    """From nobody changes nothing."""
    return None if alarm.assignee is None else Unassigned()


def comment(command: Comment) -> Commented:
    """Say something, at any time."""
    if not command.text:
        raise InvalidInput("text must not be empty")
    bounds.check_text("text", command.text, bounds.TEXT_BYTES)
    return Commented(text=command.text)


def _check_not_operator(alarm: Alarm, context: Context) -> None:
    if context.actor.kind == "operator":
        raise Refused("forbidden", "suppression by design is up to the plant, not to an operator", alarm)


def _check_operator_with_reason(alarm: Alarm, context: Context, reason: str) -> None:
    if context.actor.kind != "operator":
        raise Refused("forbidden", "only an operator takes alarms out of service and back", alarm)
    if not reason.strip():
        raise InvalidInput("a reason is required")
    bounds.check_text("reason", reason, bounds.TEXT_BYTES)

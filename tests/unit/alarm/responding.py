"""Commands of operators and of the plant on the pump's alarm."""

from typing import Any

from core.alarm.events import ActorKind
from core.alarm.notes import Assign, Comment, Unassign
from core.alarm.responses import Confirm, Reset
from core.alarm.suppression import (
    PlaceInService,
    RemoveFromService,
    Shelve,
    Suppress,
    Unshelve,
    Unsuppress,
)
from tests.kit.given import PUMP, context, second

DAY = 24 * 60 * 60


def _about(by: ActorKind, at: float) -> dict[str, Any]:
    return {"context": context(by, at=at), "alarm_id": PUMP.alarm_id}


def confirming(*, by: ActorKind = "operator", at: float = 0) -> Confirm:
    return Confirm(**_about(by, at))


def resetting(*, by: ActorKind = "operator", at: float = 0) -> Reset:
    return Reset(**_about(by, at))


def shelving(
    seconds: float | None = 60,
    *,
    by: ActorKind = "operator",
    at: float = 0,
    reason: str = "",
    most: float = DAY,
) -> Shelve:
    """Timed, or one-shot where `seconds` is None."""
    return Shelve(**_about(by, at), seconds=seconds, max_seconds=most, reason=reason)


def unshelving(*, by: ActorKind = "operator", at: float = 0) -> Unshelve:
    return Unshelve(**_about(by, at))


def expiring(until: float, *, at: float | None = None) -> Unshelve:
    """The shelf that ends at `until` has run out."""
    return Unshelve(**_about("system", until if at is None else at), expired=second(until))


def suppressing(*, by: ActorKind = "system", reason: str = "", administrator: bool = False) -> Suppress:
    asked = context(by, administrator=administrator)
    return Suppress(context=asked, alarm_id=PUMP.alarm_id, reason=reason)


def unsuppressing(*, by: ActorKind = "system", reason: str = "", administrator: bool = False) -> Unsuppress:
    asked = context(by, administrator=administrator)
    return Unsuppress(context=asked, alarm_id=PUMP.alarm_id, reason=reason)


def removing(reason: str = "repair", *, by: ActorKind = "operator") -> RemoveFromService:
    return RemoveFromService(**_about(by, 0), reason=reason)


def placing(reason: str = "repaired", *, by: ActorKind = "operator") -> PlaceInService:
    return PlaceInService(**_about(by, 0), reason=reason)


def assigning(assignee: str = "olga", *, by: ActorKind = "operator") -> Assign:
    return Assign(**_about(by, 0), assignee=assignee)


def unassigning(*, by: ActorKind = "operator") -> Unassign:
    return Unassign(**_about(by, 0))


def commenting(text: str = "on my way", *, by: ActorKind = "operator") -> Comment:
    return Comment(**_about(by, 0), text=text)

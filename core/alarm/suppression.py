"""Three ways to keep an alarm out of sight: shelved, by design, out of service (ISA-18.2 §11)."""

from datetime import datetime, timedelta
from typing import ClassVar

from core.alarm import bounds
from core.alarm.alarm import Alarm
from core.alarm.context import FORBIDDEN, Context, OfAlarm
from core.alarm.events import milliseconds
from core.alarm.facts import (
    PlacedInService,
    RemovedFromService,
    Shelved,
    Suppressed,
    Unshelved,
    Unsuppressed,
)
from core.errors import InvalidInput, Refusal, Refused
from core.roles import OPERATORS, REPORTERS, Roles

ALREADY_SHELVED = Refusal(
    "already_shelved", "conflict", "the alarm is shelved", "unshelve it first to shelve it otherwise"
)
NOT_SHELVED = Refusal("not_shelved", "conflict", "the alarm is not shelved", "nothing: it is in sight")
ALREADY_SUPPRESSED = Refusal(
    "already_suppressed", "conflict", "the alarm is suppressed by design", "nothing: it is done"
)
NOT_SUPPRESSED = Refusal(
    "not_suppressed", "conflict", "the alarm is not suppressed by design", "nothing: it is done"
)
ALREADY_OUT_OF_SERVICE = Refusal(
    "already_out_of_service", "conflict", "the alarm is out of service", "nothing: it is done"
)
NOT_OUT_OF_SERVICE = Refusal(
    "not_out_of_service", "conflict", "the alarm is in service", "nothing: it is done"
)


class Shelve(OfAlarm, frozen=True, kw_only=True, gc=False):
    """Take the alarm out of sight: for `seconds`, at most `max_seconds`; None: until it returns to normal."""

    name: ClassVar[str] = "shelve"
    roles: ClassVar[Roles] = OPERATORS
    refusals: ClassVar[tuple[Refusal, ...]] = (ALREADY_SHELVED,)

    seconds: float | None
    max_seconds: float
    reason: str = ""

    @staticmethod
    def allowed(alarm: Alarm) -> bool:
        """Unless it is shelved."""
        return alarm.shelving == "unshelved"

    def decide(self, alarm: Alarm) -> Shelved:
        """Timed within bounds, or one-shot."""
        bounds.check_text("reason", self.reason, bounds.TEXT_BYTES)
        if self.seconds is not None and not 0 < self.seconds <= self.max_seconds:
            raise InvalidInput(
                f"an alarm can be shelved for more than 0 and at most {self.max_seconds:.0f} s"
            )
        if alarm.shelving != "unshelved":
            raise Refused(ALREADY_SHELVED, "the alarm is shelved already", alarm)
        if self.seconds is None:
            return Shelved(shelving="one_shot", reason=self.reason)
        until = milliseconds(self.context.now + timedelta(seconds=self.seconds))
        return Shelved(shelving="timed", until=until, reason=self.reason)


class Unshelve(OfAlarm, frozen=True, kw_only=True, gc=False):
    """Bring the alarm back: by an operator, or because the shelf that ends at `expired` has run out."""

    name: ClassVar[str] = "unshelve"
    roles: ClassVar[Roles] = OPERATORS
    refusals: ClassVar[tuple[Refusal, ...]] = (NOT_SHELVED,)

    expired: datetime | None = None

    @staticmethod
    def allowed(alarm: Alarm) -> bool:
        """Where it is shelved."""
        return alarm.shelving != "unshelved"

    def decide(self, alarm: Alarm) -> Unshelved | None:
        """By an operator; or by expiry, which is for one shelf and no other."""
        if self.expired is not None:
            is_that_shelf = alarm.shelving == "timed" and alarm.shelved_until == self.expired
            return Unshelved(cause="expired") if is_that_shelf else None
        if alarm.shelving == "unshelved":
            raise Refused(NOT_SHELVED, "the alarm is not shelved", alarm)
        return Unshelved(cause="operator")


class Suppress(OfAlarm, frozen=True, kw_only=True, gc=False):
    """Suppress by design: the plant's state makes the alarm meaningless (ISA-18.2 §11.7)."""

    name: ClassVar[str] = "suppress"
    roles: ClassVar[Roles] = REPORTERS
    refusals: ClassVar[tuple[Refusal, ...]] = (ALREADY_SUPPRESSED, FORBIDDEN)

    reason: str = ""

    @staticmethod
    def allowed(alarm: Alarm) -> bool:
        """Unless it is suppressed."""
        return not alarm.suppressed

    def decide(self, alarm: Alarm) -> Suppressed:
        """By the plant or an administrator, never by an operator."""
        _check_by_design(alarm, self.context, self.reason)
        if alarm.suppressed:
            raise Refused(ALREADY_SUPPRESSED, "the alarm is suppressed already", alarm)
        return Suppressed(reason=self.reason)


class Unsuppress(OfAlarm, frozen=True, kw_only=True, gc=False):
    """End the suppression by design."""

    name: ClassVar[str] = "unsuppress"
    roles: ClassVar[Roles] = REPORTERS
    refusals: ClassVar[tuple[Refusal, ...]] = (NOT_SUPPRESSED, FORBIDDEN)

    reason: str = ""

    @staticmethod
    def allowed(alarm: Alarm) -> bool:
        """Where it is suppressed."""
        return alarm.suppressed

    def decide(self, alarm: Alarm) -> Unsuppressed:
        """By the plant or an administrator, never by an operator."""
        _check_by_design(alarm, self.context, self.reason)
        if not alarm.suppressed:
            raise Refused(NOT_SUPPRESSED, "the alarm is not suppressed", alarm)
        return Unsuppressed(reason=self.reason)


class RemoveFromService(OfAlarm, frozen=True, kw_only=True, gc=False):
    """Take the alarm out of service, for maintenance (ISA-18.2 §11.8)."""

    name: ClassVar[str] = "remove_from_service"
    roles: ClassVar[Roles] = OPERATORS
    refusals: ClassVar[tuple[Refusal, ...]] = (ALREADY_OUT_OF_SERVICE, FORBIDDEN)

    reason: str

    @staticmethod
    def allowed(alarm: Alarm) -> bool:
        """Where it is in service."""
        return not alarm.out_of_service

    def decide(self, alarm: Alarm) -> RemovedFromService:
        """By an operator who says why."""
        _check_operator_with_reason(alarm, self.context, self.reason)
        if alarm.out_of_service:
            raise Refused(ALREADY_OUT_OF_SERVICE, "the alarm is out of service already", alarm)
        return RemovedFromService(reason=self.reason)


class PlaceInService(OfAlarm, frozen=True, kw_only=True, gc=False):
    """Put the alarm back in service."""

    name: ClassVar[str] = "place_in_service"
    roles: ClassVar[Roles] = OPERATORS
    refusals: ClassVar[tuple[Refusal, ...]] = (NOT_OUT_OF_SERVICE, FORBIDDEN)

    reason: str

    @staticmethod
    def allowed(alarm: Alarm) -> bool:
        """Where it is out of service."""
        return alarm.out_of_service

    def decide(self, alarm: Alarm) -> PlacedInService:
        """By an operator who says why."""
        _check_operator_with_reason(alarm, self.context, self.reason)
        if not alarm.out_of_service:
            raise Refused(NOT_OUT_OF_SERVICE, "the alarm is in service", alarm)
        return PlacedInService(reason=self.reason)


Suppression = Shelve | Unshelve | Suppress | Unsuppress | RemoveFromService | PlaceInService


def _check_by_design(alarm: Alarm, context: Context, reason: str) -> None:
    if context.actor.kind == "operator" and not context.administrator:
        raise Refused(FORBIDDEN, "suppression by design is up to the plant, not to an operator", alarm)
    bounds.check_text("reason", reason, bounds.TEXT_BYTES)


def _check_operator_with_reason(alarm: Alarm, context: Context, reason: str) -> None:
    if context.actor.kind != "operator":
        raise Refused(FORBIDDEN, "only an operator takes alarms out of service and back", alarm)
    if not reason.strip():
        raise InvalidInput("a reason is required")
    bounds.check_text("reason", reason, bounds.TEXT_BYTES)

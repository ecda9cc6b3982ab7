"""What operators answer an alarm with: acknowledge, confirm, reset (ISA-18.2 §11, OPC UA Part 9 §5.7)."""

from typing import ClassVar

from core.alarm.alarm import Alarm
from core.alarm.context import OfAlarm
from core.alarm.facts import Acknowledged, Confirmed, WasReset
from core.errors import Refusal, Refused
from core.roles import OPERATORS, Roles

ALREADY_ACKNOWLEDGED = Refusal(
    "already_acknowledged", "conflict", "the alarm is acknowledged", "nothing: it is done"
)
REVISION_OUTDATED = Refusal(
    "revision_outdated",
    "conflict",
    "operators were called to the alarm again since that revision",
    "look at it and decide again",
)
REVISION_AHEAD = Refusal(
    "revision_ahead",
    "conflict",
    "the alarm has not come to that revision",
    "send the revision you were shown",
)
NOT_ACKNOWLEDGED = Refusal(
    "not_acknowledged", "conflict", "the alarm is not acknowledged yet", "acknowledge it first"
)
ALREADY_CONFIRMED = Refusal("already_confirmed", "conflict", "the alarm is confirmed", "nothing: it is done")
NOT_LATCHED = Refusal(
    "not_latched", "conflict", "the alarm is not latched, so there is nothing to reset", "nothing"
)
STILL_ACTIVE = Refusal(
    "still_active", "conflict", "the alarm's condition still holds", "wait until it is cleared"
)


class Acknowledge(OfAlarm, frozen=True, kw_only=True, gc=False):
    """An operator has taken note of the alarm as it stood at `revision`."""

    name: ClassVar[str] = "acknowledge"
    roles: ClassVar[Roles] = OPERATORS
    refusals: ClassVar[tuple[Refusal, ...]] = (ALREADY_ACKNOWLEDGED, REVISION_OUTDATED, REVISION_AHEAD)

    revision: int

    @staticmethod
    def allowed(alarm: Alarm) -> bool:
        """Once for each call to operators."""
        return not alarm.acked

    def decide(self, alarm: Alarm) -> Acknowledged:
        """What was announced since the revision was not seen."""
        if self.revision > alarm.revision:
            detail = f"revision {self.revision} is ahead of the alarm, which is at {alarm.revision}"
            raise Refused(REVISION_AHEAD, detail, alarm)
        if alarm.acked:
            raise Refused(ALREADY_ACKNOWLEDGED, "the alarm is acknowledged already", alarm)
        if self.revision < alarm.announced_revision:
            detail = f"the alarm was announced again at revision {alarm.announced_revision}; look at it first"
            raise Refused(REVISION_OUTDATED, detail, alarm)
        return Acknowledged(seen_revision=self.revision)


class Confirm(OfAlarm, frozen=True, kw_only=True, gc=False):
    """An operator has seen to the alarm after acknowledging it (OPC UA Part 9 §5.7.4)."""

    name: ClassVar[str] = "confirm"
    roles: ClassVar[Roles] = OPERATORS
    refusals: ClassVar[tuple[Refusal, ...]] = (NOT_ACKNOWLEDGED, ALREADY_CONFIRMED)

    @staticmethod
    def allowed(alarm: Alarm) -> bool:
        """Once for each acknowledgement."""
        return alarm.acked and not alarm.confirmed

    def decide(self, alarm: Alarm) -> Confirmed:
        """Only what was acknowledged can be confirmed, once."""
        if not alarm.acked or alarm.occurrence == 0:
            raise Refused(NOT_ACKNOWLEDGED, "acknowledge the alarm before confirming it", alarm)
        if alarm.confirmed:
            raise Refused(ALREADY_CONFIRMED, "the alarm is confirmed already", alarm)
        return Confirmed()


class Reset(OfAlarm, frozen=True, kw_only=True, gc=False):
    """Let a latched alarm whose condition is gone return to normal (OPC UA Part 9 §5.8.5)."""

    name: ClassVar[str] = "reset"
    roles: ClassVar[Roles] = OPERATORS
    refusals: ClassVar[tuple[Refusal, ...]] = (NOT_LATCHED, STILL_ACTIVE)

    @staticmethod
    def allowed(alarm: Alarm) -> bool:
        """Where a latch alone holds the alarm active."""
        return alarm.latched and not alarm.origins

    def decide(self, alarm: Alarm) -> WasReset:
        """Only a latched alarm whose condition is gone can be reset."""
        if not alarm.latched:
            raise Refused(NOT_LATCHED, "the alarm is not latched", alarm)
        if alarm.origins:
            raise Refused(STILL_ACTIVE, "the condition is still there; clear it first", alarm)
        return WasReset(unshelved=alarm.shelving == "one_shot")


OperatorResponse = Acknowledge | Confirm | Reset

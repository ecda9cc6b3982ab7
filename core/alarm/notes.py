"""What operators note about an alarm: who sees to it, and comments."""

from typing import ClassVar

from core.alarm import bounds
from core.alarm.alarm import Alarm
from core.alarm.context import OfAlarm
from core.alarm.facts import Assigned, Commented, Unassigned
from core.errors import InvalidInput
from core.roles import OPERATORS, Roles


class Assign(OfAlarm, frozen=True, kw_only=True, gc=False):
    """Make somebody the one who sees to the alarm."""

    name: ClassVar[str] = "assign"
    roles: ClassVar[Roles] = OPERATORS

    assignee: str

    def decide(self, alarm: Alarm) -> Assigned | None:
        """To whom it is assigned already changes nothing."""
        if not self.assignee:
            raise InvalidInput("assignee must not be empty")
        bounds.check_text("assignee", self.assignee, bounds.NAME_BYTES)
        return None if alarm.assignee == self.assignee else Assigned(assignee=self.assignee)


class Unassign(OfAlarm, frozen=True, kw_only=True, gc=False):
    """Make nobody the one who sees to the alarm."""

    name: ClassVar[str] = "unassign"
    roles: ClassVar[Roles] = OPERATORS

    def decide(self, alarm: Alarm) -> Unassigned | None:
        """From nobody changes nothing."""
        return None if alarm.assignee is None else Unassigned()


class Comment(OfAlarm, frozen=True, kw_only=True, gc=False):
    """Say something about the alarm."""

    name: ClassVar[str] = "comment"
    roles: ClassVar[Roles] = OPERATORS

    text: str

    def decide(self, _: Alarm) -> Commented:
        """At any time."""
        if not self.text:
            raise InvalidInput("text must not be empty")
        bounds.check_text("text", self.text, bounds.TEXT_BYTES)
        return Commented(text=self.text)


Note = Assign | Unassign | Comment

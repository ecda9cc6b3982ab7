"""The state diagram of ISA-18.2 §5 as a tiny model: what each command does, and what it is refused with.

Each command returns the type of the event it makes, None where it changes nothing, or the refusal's code.
"""

from typing import Literal

from core.alarm.alarm import SEVERITY_RANK, Severity

Shelf = int | Literal["one_shot"]
"""When it ends, in seconds, or that it ends with the next return to normal."""


class Diagram:
    """One alarm. `origins` holds who reports the condition, in the order in which they began to."""

    def __init__(self) -> None:
        self.revision = 0
        self.announced = 0
        self.severity: Severity = "indeterminate"
        self.labels: dict[str, str] = {}
        self.origins: dict[str, Severity] = {}
        self.active = self.latched = self.suppressed = self.out_of_service = False
        self.acked = True
        self.confirmed: bool | None = None
        self.shelf: Shelf | None = None
        self.assignee: str | None = None

    @property
    def state(self) -> str:
        covers = {
            "out_of_service": self.out_of_service,
            "suppressed": self.suppressed,
            "shelved": self.shelf is not None,
        }
        uncovered = {
            (True, False): "unacked",
            (True, True): "acked",
            (False, False): "rtn_unacked",
            (False, True): "normal",
        }
        return next((name for name, holds in covers.items() if holds), uncovered[self.active, self.acked])

    @property
    def shelving(self) -> str:
        return "unshelved" if self.shelf is None else "one_shot" if self.shelf == "one_shot" else "timed"

    def allowed(self) -> set[str]:
        """What somebody could do, as the diagram has it."""
        if not self.revision:
            return {"raise"}
        names = {"raise", "assign", "unassign", "comment"}
        names |= {"clear"} if self.origins else set()
        names |= {"acknowledge"} if not self.acked else set() if self.confirmed else {"confirm"}
        names |= {"reset"} if self.active and not self.origins else set()
        names |= {"unshelve"} if self.shelf is not None else {"shelve"}
        names |= {"unsuppress"} if self.suppressed else {"suppress"}
        names |= {"place_in_service"} if self.out_of_service else {"remove_from_service"}
        return names

    def raised(self, origin: str, severity: Severity, labels: dict[str, str], *, latched: bool) -> str | None:
        if not self.active:
            self.active, self.latched, self.labels = True, latched, labels
            self.severity, self.origins = severity, {origin: severity}
            return self._announced("alarm.raised")
        shown = (self.severity, self.origins.copy(), self.labels, self.latched)
        came_back = not self.origins
        self.origins[origin] = severity
        self.severity = self._highest()
        if next(name for name, held in self.origins.items() if held == self.severity) == origin:
            self.labels, self.latched = labels, latched
        if came_back or SEVERITY_RANK[self.severity] > SEVERITY_RANK[shown[0]]:
            return self._announced("alarm.updated")
        if shown == (self.severity, self.origins, self.labels, self.latched):
            return None
        return self._happened("alarm.updated")

    def cleared(self, origin: str | None, *, by_operator: bool) -> str | None:
        if not self.revision:
            return "unknown_alarm"
        if not self.origins:
            return "not_active" if by_operator else None
        if origin is not None and origin not in self.origins:
            return None
        left = {} if origin is None else {name: held for name, held in self.origins.items() if name != origin}
        self.origins = left
        if left:
            self.severity = self._highest()
            return self._happened("alarm.updated")
        if not self.latched:
            self._return_to_normal()
        return self._happened("alarm.cleared")

    def acknowledged(self, seen: int) -> str:
        if not self.revision or seen > self.revision:
            return "revision_ahead" if self.revision else "unknown_alarm"
        if self.acked or seen < self.announced:
            return "already_acknowledged" if self.acked else "revision_outdated"
        self.acked, self.confirmed = True, False
        return self._happened("alarm.acknowledged")

    def was_confirmed(self) -> str:
        if not self.revision or not self.acked:
            return "not_acknowledged" if self.revision else "unknown_alarm"
        if self.confirmed:
            return "already_confirmed"
        self.confirmed = True
        return self._happened("alarm.confirmed")

    def was_reset(self) -> str:
        if not self.revision or not self.latched:
            return "not_latched" if self.revision else "unknown_alarm"
        if self.origins:
            return "still_active"
        self.latched = False
        self._return_to_normal()
        return self._happened("alarm.reset")

    def shelved(self, shelf: Shelf) -> str:
        if not self.revision or self.shelf is not None:
            return "already_shelved" if self.revision else "unknown_alarm"
        self.shelf = shelf
        return self._happened("alarm.shelved")

    def unshelved(self) -> str:
        if not self.revision or self.shelf is None:
            return "not_shelved" if self.revision else "unknown_alarm"
        self.shelf = None
        return self._happened("alarm.unshelved")

    def expired(self, end: int) -> str | None:
        if not self.revision:
            return "unknown_alarm"
        return self.unshelved() if self.shelf == end else None

    def suppression(self, *, begins: bool, by_operator: bool) -> str:
        if not self.revision or by_operator:
            return "forbidden" if self.revision else "unknown_alarm"
        if self.suppressed == begins:
            return "already_suppressed" if begins else "not_suppressed"
        self.suppressed = begins
        return self._happened("alarm.suppressed" if begins else "alarm.unsuppressed")

    def service(self, *, ends: bool, by_operator: bool) -> str:
        if not self.revision or not by_operator:
            return "forbidden" if self.revision else "unknown_alarm"
        if self.out_of_service == ends:
            return "already_out_of_service" if ends else "not_out_of_service"
        self.out_of_service = ends
        return self._happened("alarm.removed_from_service" if ends else "alarm.placed_in_service")

    def assigned(self, assignee: str | None) -> str | None:
        if not self.revision or self.assignee == assignee:
            return None if self.revision else "unknown_alarm"
        self.assignee = assignee
        return self._happened("alarm.unassigned" if assignee is None else "alarm.assigned")

    def commented(self) -> str:
        return self._happened("alarm.commented") if self.revision else "unknown_alarm"

    def _highest(self) -> Severity:
        return max(self.origins.values(), key=SEVERITY_RANK.__getitem__)

    def _return_to_normal(self) -> None:
        self.active = False
        if self.shelf == "one_shot":
            self.shelf = None

    def _announced(self, event: str) -> str:
        self.acked, self.confirmed, self.announced = False, None, self.revision + 1
        return self._happened(event)

    def _happened(self, event: str) -> str:
        self.revision += 1
        return event

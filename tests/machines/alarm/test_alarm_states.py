"""Whatever is done to an alarm, it is where the state diagram of ISA-18.2 says."""

from functools import reduce
from typing import Any

import bson
import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from msgspec import UNSET

from adapters.mongo.codec import event_document, event_of
from core.alarm.alarm import SEVERITY_RANK, Alarm, Severity
from core.alarm.commands import Command
from core.alarm.condition import Clear, Raise
from core.alarm.context import Context
from core.alarm.decider import allowed_commands, decide
from core.alarm.events import Actor, Event
from core.alarm.evolution import evolve, place
from core.alarm.facts import Raised, Updated
from core.alarm.notes import Assign, Comment, Unassign
from core.alarm.responses import Acknowledge, Confirm, Reset
from core.alarm.suppression import (
    PlaceInService,
    RemoveFromService,
    Shelve,
    Suppress,
    Unshelve,
    Unsuppress,
)
from core.errors import Refused
from tests.kit.given import PUMP, second
from tests.machines.alarm.diagram import Diagram

MOST_SECONDS = 10
SAME = (
    "active",
    "acked",
    "confirmed",
    "latched",
    "suppressed",
    "out_of_service",
    "shelving",
    "assignee",
    "revision",
    "severity",
    "labels",
)
"""What the alarm and the diagram name alike."""

severities = st.sampled_from(list(SEVERITY_RANK))
origins = st.sampled_from(["", "a", "b"])
labels = st.sampled_from([{}, {"site": "x"}, {"site": "y"}])


class AlarmStates(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.alarm = Alarm.absent(PUMP.alarm_id)
        self.diagram = Diagram()
        self.events: list[Event] = []
        self.now = 0

    @rule(origin=origins, severity=severities, latched=st.booleans(), labels=labels)
    def raise_(self, origin: str, severity: Severity, *, latched: bool, labels: dict[str, str]) -> None:
        expected = self.diagram.raised(origin, severity, labels, latched=latched)
        self.check(self.raising(severity, origin=origin, latched=latched, labels=labels), expected)

    @rule(origin=st.none() | origins, by_operator=st.booleans())
    def clear(self, origin: str | None, *, by_operator: bool) -> None:
        expected = self.diagram.cleared(origin, by_operator=by_operator)
        self.check(self.about(Clear, by_operator=by_operator, origin=origin), expected)

    @rule(behind=st.integers(-1, 4))
    def acknowledge(self, behind: int) -> None:
        seen = self.alarm.revision - behind
        self.check(self.about(Acknowledge, revision=seen), self.diagram.acknowledged(seen))

    @rule()
    def confirm(self) -> None:
        self.check(self.about(Confirm), self.diagram.was_confirmed())

    @rule()
    def reset(self) -> None:
        self.check(self.about(Reset), self.diagram.was_reset())

    @rule(seconds=st.none() | st.integers(1, MOST_SECONDS))
    def shelve(self, seconds: int | None) -> None:
        command = self.about(Shelve, seconds=seconds, max_seconds=MOST_SECONDS, reason="noise")
        self.check(command, self.diagram.shelved("one_shot" if seconds is None else self.now + seconds))

    @rule(by_operator=st.booleans())
    def unshelve(self, *, by_operator: bool) -> None:
        self.check(self.about(Unshelve, by_operator=by_operator), self.diagram.unshelved())

    @rule(missed_by=st.sampled_from([0, 0, 0, 1]))
    def expire(self, missed_by: int) -> None:
        timed = isinstance(self.diagram.shelf, int)
        end = (self.diagram.shelf if isinstance(self.diagram.shelf, int) else self.now) + missed_by
        command = self.about(Unshelve, by_operator=False, expired=second(end))
        self.check(command, self.diagram.expired(end))
        assert not timed or missed_by or self.alarm.shelving == "unshelved"

    @rule(begins=st.booleans(), by_operator=st.sampled_from([False, False, True]))
    def suppression(self, *, begins: bool, by_operator: bool) -> None:
        command = self.about(Suppress if begins else Unsuppress, by_operator=by_operator)
        self.check(command, self.diagram.suppression(begins=begins, by_operator=by_operator))

    @rule(ends=st.booleans(), by_operator=st.sampled_from([True, True, False]))
    def service(self, *, ends: bool, by_operator: bool) -> None:
        kind = RemoveFromService if ends else PlaceInService
        command = self.about(kind, by_operator=by_operator, reason="repair")
        self.check(command, self.diagram.service(ends=ends, by_operator=by_operator))

    @rule(assignee=st.sampled_from([None, "olga", "oleg"]))
    def assign(self, assignee: str | None) -> None:
        command = self.about(Unassign) if assignee is None else self.about(Assign, assignee=assignee)
        self.check(command, self.diagram.assigned(assignee))

    @rule(latched=st.booleans())
    def shelve_until_the_return_to_normal(self, *, latched: bool) -> None:
        """Four commands in a row that chance seldom brings."""
        self.raise_("", "critical", latched=latched, labels={})
        self.shelve(None)
        self.clear(None, by_operator=True)
        self.reset()

    @rule()
    def comment(self) -> None:
        self.check(self.about(Comment, text="hm"), self.diagram.commented())

    @invariant()
    def the_alarm_is_where_the_diagram_says(self) -> None:
        alarm, diagram = self.alarm, self.diagram
        assert alarm.state == diagram.state
        for name in SAME:
            assert getattr(alarm, name) == getattr(diagram, name), name
        assert {name: origin.severity for name, origin in alarm.origins.items()} == diagram.origins
        assert alarm.announced_revision == diagram.announced
        end = diagram.shelf
        assert alarm.shelved_until == (second(end) if isinstance(end, int) else None)

    @invariant()
    def the_allowed_commands_are_those_of_the_diagram_and_of_decide(self) -> None:
        named = allowed_commands(self.alarm)
        assert len(named) == len(set(named))
        assert set(named) == self.diagram.allowed()
        possible = {name for name, tries in self.probes().items() if any(map(self.is_accepted, tries))}
        assert set(named) == possible

    @invariant()
    def folding_all_events_is_the_alarm(self) -> None:
        assert reduce(evolve, self.events, Alarm.absent(PUMP.alarm_id)) == self.alarm

    def check(self, command: Command, expected: str | None) -> None:
        """Carry the command out; its outcome must be the expected one."""
        self.now += 1
        event, outcome = self.decided(command)
        assert outcome == expected
        if event is not None:
            self.happened(place(self.alarm, event, len(self.events) * 2 + 1, self.alarm.updated_at))

    def decided(self, command: Command) -> tuple[Event | None, str | None]:
        """The event, if there is one; and its type, None or the refusal's code."""
        try:
            event = decide(self.alarm, command)
        except Refused as refusal:
            return None, refusal.code
        return event, None if event is None else event.type

    def happened(self, event: Event) -> None:
        assert evolve(self.alarm, event) == event.alarm
        assert msgspec.json.decode(msgspec.json.encode(event), type=Event).fact == event.fact
        stored = event_of(bson.decode(bson.encode(event_document(event))))
        assert stored == event
        assert stored.fact == event.fact
        check_previous(self.alarm, event)
        self.alarm = event.alarm
        self.events.append(event)

    def raising(self, severity: Severity = "major", **more: Any) -> Raise:
        return Raise(context=self.context(by_operator=False), identity=PUMP, severity=severity, **more)

    def about(self, kind: type[Any], *, by_operator: bool = True, **more: Any) -> Any:
        return kind(context=self.context(by_operator=by_operator), alarm_id=PUMP.alarm_id, **more)

    def context(self, *, by_operator: bool) -> Context:
        actor = Actor("olga", "operator") if by_operator else Actor("line", "source")
        event_id = f"event-{self.now}"
        return Context(event_id=event_id, tenant=PUMP.tenant, actor=actor, now=second(self.now))

    def probes(self) -> dict[str, list[Command]]:
        """Each command by everyone who may give it; a source may clear at any time."""
        revisions = range(self.alarm.revision + 1)
        return {
            "raise": [self.raising()],
            "clear": [self.about(Clear)],
            "acknowledge": [self.about(Acknowledge, revision=seen) for seen in revisions],
            "confirm": [self.about(Confirm)],
            "reset": [self.about(Reset)],
            "shelve": [self.about(Shelve, seconds=each, max_seconds=MOST_SECONDS) for each in (None, 1)],
            "unshelve": [self.about(Unshelve)],
            "suppress": [self.about(Suppress, by_operator=each) for each in (True, False)],
            "unsuppress": [self.about(Unsuppress, by_operator=each) for each in (True, False)],
            "remove_from_service": [self.about(RemoveFromService, reason="repair")],
            "place_in_service": [self.about(PlaceInService, reason="repair")],
            "assign": [self.about(Assign, assignee="olga")],
            "unassign": [self.about(Unassign)],
            "comment": [self.about(Comment, text="hm")],
        }

    def is_accepted(self, command: Command) -> bool:
        event, outcome = self.decided(command)
        return outcome is None or event is not None


def check_previous(before: Alarm, event: Event) -> None:
    """Where a field that filters look at changed, its previous value is there, and only there."""
    fact = event.fact
    previous = fact.previous if isinstance(fact, Raised | Updated) else UNSET
    for name in ("severity", "labels"):
        was, became = getattr(before, name), getattr(event.alarm, name)
        told = UNSET if previous is UNSET else getattr(previous, name)
        # Nothing was listed before the first event, so nothing can have left a filter.
        assert told == (was if was != became and before.revision else UNSET)


TestAlarmStates = AlarmStates.TestCase

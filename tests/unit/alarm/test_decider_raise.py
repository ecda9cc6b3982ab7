from typing import Any

import pytest
from msgspec.structs import replace

from core.alarm.alarm import Alarm, Identity, Origin, Severity
from core.alarm.commands import Command
from core.alarm.condition import Raise
from core.alarm.decider import allowed_commands
from core.alarm.events import SCHEMA_VERSION, Actor
from core.alarm.facts import Previous, Raised, Updated
from tests.kit.given import PUMP, Given, acknowledging, clearing, raising, second


def with_context(command: Raise, **changes: Any) -> Raise:
    return replace(command, context=replace(command.context, **changes))


def test_the_first_raise_is_an_activation() -> None:
    alarm = Given().when(raising("major", at=5, occurred=3, text="hot", labels={"a": "b"})).alarm
    assert alarm == Alarm(
        id=PUMP.alarm_id,
        tenant="default",
        source="line/1",
        type="pressure",
        qualifier="pump",
        severity="major",
        text="hot",
        labels={"a": "b"},
        active=True,
        acked=False,
        state="unacked",
        origins={"": Origin("major", second(3))},
        announced_revision=1,
        occurrence=1,
        revision=1,
        raised_at=second(5),
        updated_at=second(5),
        occurred_at=second(3),
    )


def test_the_event_says_who_when_and_under_which_ids() -> None:
    command = raising(at=5)
    event = Given().when(
        with_context(command, command_id="key", command_hash="hash", trace="00-trace", event_id="mine")
    )
    assert (event.event_id, event.stream, event.revision, event.position) == ("mine", PUMP.alarm_id, 1, 0)
    assert (event.tenant, event.type, event.v) == ("default", "alarm.raised", SCHEMA_VERSION)
    assert (event.at, event.occurred_at) == (second(5), second(5))
    assert event.actor == Actor("some source", "source")
    assert (event.command_id, event.command_hash, event.trace) == ("key", "hash", "00-trace")


def test_times_are_cut_to_milliseconds() -> None:
    event = Given().when(raising(at=5.123456, occurred=3.987654, since=2.0009))
    assert (event.at, event.occurred_at) == (second(5.123), second(3.987))
    assert event.alarm.origins[""].since == second(2)


def test_an_identical_repeat_records_nothing() -> None:
    given = Given(raising(at=0, text="hot", details={"bar": [7, None]}, labels={"a": "b"}))
    given.nothing_when(raising(at=900, text="hot", details={"bar": [7, None]}, labels={"a": "b"}))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("text", "hotter"),
        ("text", ""),
        ("labels", {"a": "c"}),
        ("labels", {}),
        ("details", {"bar": 8}),
        ("event_type", "equipment"),
        ("event_type", None),
        ("probable_cause", "pump failure"),
        ("annunciate", False),
        ("latched", True),
    ],
)
def test_a_change_is_an_update_that_says_only_what_changed(field: str, value: object) -> None:
    before: dict[str, Any] = {
        "text": "hot",
        "labels": {"a": "b"},
        "details": {"bar": 7},
        "event_type": "process",
    }
    event = Given(raising(**before)).when(raising(at=1, **{**before, field: value}))
    assert event.type == "alarm.updated"
    assert set(event.data) - {"previous"} == {field}
    assert getattr(event.alarm, field) == value
    assert (event.alarm.occurrence, event.alarm.announced_revision) == (1, 1)
    assert event.alarm.raised_at == second(0)


def test_a_change_of_text_leaves_an_acknowledged_alarm_acknowledged() -> None:
    event = Given(raising(), acknowledging(1)).when(raising(text="hotter"))
    assert (event.alarm.state, event.alarm.acked_by) == ("acked", "some operator")


@pytest.mark.parametrize(
    ("before", "after"), [("warning", "critical"), ("indeterminate", "warning"), ("minor", "major")]
)
def test_a_higher_severity_calls_the_operators_again(before: Severity, after: Severity) -> None:
    event = Given(raising(before), acknowledging(1)).when(raising(after))
    assert isinstance(event.fact, Updated)
    assert event.fact.reannounced
    assert event.fact.previous == Previous(severity=before)
    assert (event.alarm.state, event.alarm.severity) == ("unacked", after)
    assert (event.alarm.acked_at, event.alarm.acked_by) == (None, None)
    assert event.alarm.announced_revision == event.revision == 3
    assert event.alarm.occurrence == 1


def test_a_higher_severity_is_an_announcement_on_an_unacknowledged_alarm_too() -> None:
    given = Given(raising("minor"), raising("major"))
    assert given.alarm.announced_revision == 2
    given.refused_when(acknowledging(1), "revision_outdated")


def test_a_lower_severity_does_not_call_the_operators_again() -> None:
    event = Given(raising("major"), acknowledging(1)).when(raising("minor"))
    assert (event.alarm.state, event.alarm.severity) == ("acked", "minor")
    assert event.alarm.announced_revision == 1
    assert isinstance(event.fact, Updated)
    assert not event.fact.reannounced


@pytest.mark.parametrize("history", [[raising(), clearing()], [raising(), acknowledging(1), clearing()]])
def test_a_raise_after_the_return_to_normal_is_a_new_occurrence(history: list[Command]) -> None:
    event = Given(*history).when(raising("minor", at=9, text="again"))
    assert isinstance(event.fact, Raised)
    assert event.fact.previous == Previous(severity="major")
    assert (event.alarm.state, event.alarm.occurrence, event.alarm.text) == ("unacked", 2, "again")
    assert event.alarm.announced_revision == event.revision
    assert (event.alarm.raised_at, event.alarm.cleared_at, event.alarm.acked_by) == (second(9), None, None)
    assert event.alarm.origins == {"": Origin("minor", second(9))}


def test_a_new_occurrence_has_nothing_of_the_old_one() -> None:
    given = Given(raising(text="hot", labels={"a": "b"}, details={"bar": 7}), clearing())
    event = given.when(raising())
    assert (event.alarm.text, event.alarm.labels, event.alarm.details) == ("", {}, {})
    assert isinstance(event.fact, Raised)
    assert event.fact.previous == Previous(labels={"a": "b"})


def test_input_out_of_bounds_is_refused_whatever_the_state() -> None:
    for given in (Given(), Given(raising()), Given(raising(), clearing())):
        given.refused_when(raising(text="x" * 5_000), "invalid")
        given.refused_when(raising(identity=Identity("default", "", "pressure")), "invalid")


def test_an_alarm_of_another_tenant_cannot_be_raised() -> None:
    command = raising(identity=Identity("other", "line/1", "pressure"))
    Given().refused_when(with_context(command, tenant="default"), "invalid")


def test_a_latched_alarm_whose_condition_comes_back_calls_the_operators_again() -> None:
    given = Given(raising(latched=True, origin="a"), acknowledging(1), clearing("a", at=5))
    assert (given.alarm.active, given.alarm.origins) == (True, {})
    event = given.when(raising(latched=True, origin="a", at=9))
    assert isinstance(event.fact, Updated)
    assert event.fact.reannounced
    assert (event.alarm.state, event.alarm.occurrence) == ("unacked", 1)
    assert event.alarm.announced_revision == event.revision


def test_the_allowed_commands_are_those_that_the_alarm_takes_as_it_stands() -> None:
    def allowed() -> set[str]:
        return set(allowed_commands(given.alarm)) & {"raise", "clear", "acknowledge"}

    given = Given()
    assert allowed_commands(given.alarm) == ["raise"]
    given.and_then(raising())
    assert allowed() == {"raise", "clear", "acknowledge"}
    given.and_then(clearing())
    assert allowed() == {"raise", "acknowledge"}
    given.and_then(acknowledging(1))
    assert allowed() == {"raise"}

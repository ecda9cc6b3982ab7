from collections.abc import Callable
from datetime import datetime
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from msgspec.structs import replace

from core.alarm.events import SCHEMA_VERSION, Event
from core.alarm.evolution import evolve
from core.alarm.facts import FACT_TYPES, Fact, Raised, Updated
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
from core.errors import UnknownEvent
from tests.kit.given import PUMP, Given, acknowledging, clearing, context, raising
from tests.unit.alarm.worlds import events

EVERY_TYPE = {
    "alarm.raised",
    "alarm.updated",
    "alarm.cleared",
    "alarm.acknowledged",
    "alarm.confirmed",
    "alarm.reset",
    "alarm.shelved",
    "alarm.unshelved",
    "alarm.suppressed",
    "alarm.unsuppressed",
    "alarm.removed_from_service",
    "alarm.placed_in_service",
    "alarm.assigned",
    "alarm.unassigned",
    "alarm.commented",
}


def by_json(event: Event) -> Event:
    return msgspec.json.decode(msgspec.json.encode(event), type=Event)


def by_builtins(event: Event) -> Event:
    return msgspec.convert(msgspec.to_builtins(event), Event)


def by_builtins_with_times(event: Event) -> Event:
    """How a document is made for MongoDB."""
    return msgspec.convert(msgspec.to_builtins(event, builtin_types=(datetime,)), Event)


def by_msgpack(event: Event) -> Event:
    return msgspec.msgpack.decode(msgspec.msgpack.encode(event), type=Event)


ROUND_TRIPS = [by_json, by_builtins, by_builtins_with_times, by_msgpack]


def one_of_each() -> list[Event]:
    """A life in which everything happens."""
    operator, system = context("operator"), context("system")
    pump: dict[str, Any] = {"alarm_id": PUMP.alarm_id}
    life = Given()
    return [
        life.and_then(command)
        for command in (
            raising(
                "minor", occurred=1, text="hot", labels={"a": "b"}, details={"x": [1, None]}, latched=True
            ),
            raising("critical", text="", labels={}, event_type="process", latched=True, since=1),
            acknowledging(2),
            Confirm(context=operator, **pump),
            Shelve(context=operator, **pump, seconds=60, max_seconds=60, reason="noise"),
            Unshelve(context=operator, **pump),
            Suppress(context=system, **pump, reason="start-up"),
            Unsuppress(context=system, **pump),
            RemoveFromService(context=operator, **pump, reason="repair"),
            PlaceInService(context=operator, **pump, reason="repaired"),
            Assign(context=operator, **pump, assignee="me"),
            Unassign(context=operator, **pump),
            Comment(context=operator, **pump, text="hm"),
            clearing(),
            Reset(context=operator, **pump),
        )
    ]


def test_the_stored_names_stay_what_they_are() -> None:
    assert set(FACT_TYPES) == EVERY_TYPE
    assert set(FACT_TYPES.values()) == set(get_args(Fact))


@pytest.mark.parametrize("round_trip", ROUND_TRIPS)
def test_every_event_survives_a_round_trip(round_trip: Callable[[Event], Event]) -> None:
    happened = one_of_each()
    assert {event.type for event in happened} == EVERY_TYPE
    for event in happened:
        check_survives(event, round_trip)


@pytest.mark.parametrize("round_trip", ROUND_TRIPS)
@given(event=events())
def test_any_drawn_event_survives_a_round_trip(round_trip: Callable[[Event], Event], event: Event) -> None:
    check_survives(event, round_trip)


def check_survives(event: Event, round_trip: Callable[[Event], Event]) -> None:
    after = round_trip(event)
    assert after.fact == event.fact
    assert type(after.fact) is FACT_TYPES[event.type]
    # In JSON the times in `data` are texts; the typed fact is the same.
    assert replace(after, data={}) == replace(event, data={})


def test_defaults_and_what_did_not_change_are_not_stored() -> None:
    given_ = Given(raising("minor"))
    assert set(given_.and_then(raising("major")).data) == {"severity", "origins", "reannounced", "previous"}
    assert given_.and_then(clearing()).data == {}


@pytest.mark.parametrize(
    ("before", "after", "stored"),
    [
        (raising(text="hot"), raising(), {"text": ""}),
        (raising(event_type="x"), raising(), {"event_type": None}),
        (raising(details={"a": 1}), raising(), {"details": {}}),
        (raising(latched=True), raising(), {"latched": False}),
    ],
)
def test_a_change_to_nothing_is_a_change(before: Any, after: Any, stored: dict[str, Any]) -> None:
    event = Given(before).when(after)
    assert event.data == stored
    for round_trip in ROUND_TRIPS:
        assert round_trip(event).fact == Updated(**stored)


@pytest.mark.parametrize(
    "change", [{"v": SCHEMA_VERSION + 1}, {"type": "alarm.dreamt"}, {"type": ""}, {"type": "Raised"}]
)
def test_an_event_newer_than_this_code_is_unknown(change: dict[str, Any]) -> None:
    given_ = Given()
    event = replace(given_.and_then(raising()), **change)
    with pytest.raises(UnknownEvent, match="event 1 "):
        _ = event.fact
    with pytest.raises(UnknownEvent):
        evolve(given_.alarm, event)


def test_a_field_that_is_newer_than_this_code_is_left_out() -> None:
    event = Given().when(raising())
    assert replace(event, data={**event.data, "weather": "fine"}).fact == event.fact


def test_a_field_that_is_newer_than_an_event_has_its_default() -> None:
    event = Given().when(raising())
    needed = {"source", "type", "qualifier", "severity", "origins"}
    old = replace(event, data={name: value for name, value in event.data.items() if name in needed})
    assert isinstance(old.fact, Raised)
    assert (old.fact.text, old.fact.annunciate, old.fact.latched) == ("", True, False)


def test_an_event_cannot_be_changed() -> None:
    event = Given().when(raising())
    with pytest.raises(AttributeError):
        event.position = 7  # type: ignore[misc]

"""What is stored is a contract: no event may change its field names without a new version."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from core.alarm.commands import Command
from core.alarm.events import SCHEMA_VERSION, Event
from core.alarm.evolution import evolve
from core.alarm.facts import FACT_TYPES
from tests.kit.given import Given, acknowledging, clearing, raising
from tests.unit.alarm.responding import (
    assigning,
    commenting,
    confirming,
    placing,
    removing,
    resetting,
    shelving,
    suppressing,
    unassigning,
    unshelving,
    unsuppressing,
)

STORED = Path(__file__).parent / "stored"

# Every field of the fact is set: what has its default is not stored.
FULL: dict[str, Any] = {
    "text": "hot",
    "labels": {"site": "x"},
    "details": {"bar": 7},
    "event_type": "process",
    "probable_cause": "leak",
    "annunciate": False,
    "latched": True,
}
LATCHED = raising("minor", latched=True)
DECIDED: dict[str, tuple[list[Command], Command]] = {
    "alarm.raised": ([raising(labels={"a": "b"}), clearing()], raising("minor", **FULL)),
    "alarm.updated": ([raising("minor")], raising("major", **FULL)),
    "alarm.cleared": ([raising(origin="a"), shelving(None)], clearing("a")),
    "alarm.acknowledged": ([raising()], acknowledging(1)),
    "alarm.confirmed": ([raising(), acknowledging(1)], confirming()),
    "alarm.reset": ([LATCHED, shelving(None), clearing()], resetting()),
    "alarm.shelved": ([raising()], shelving(60, reason="noise")),
    "alarm.unshelved": ([raising(), shelving(60)], unshelving()),
    "alarm.suppressed": ([raising()], suppressing(reason="start-up")),
    "alarm.unsuppressed": ([raising(), suppressing()], unsuppressing(reason="running")),
    "alarm.removed_from_service": ([raising()], removing("repair")),
    "alarm.placed_in_service": ([raising(), removing()], placing("repaired")),
    "alarm.assigned": ([raising()], assigning("olga")),
    "alarm.unassigned": ([raising(), assigning("olga")], unassigning()),
    "alarm.commented": ([raising()], commenting("on my way")),
}

HOW_TO_CHANGE = """
The stored shape of {type} is not that of {file} any more: {difference}.
Logs hold events of this shape for good. If the change is meant, then
  1. raise SCHEMA_VERSION in core/alarm/events.py and give every new field a default;
  2. add an upcaster from version {version}, so that the old fixture still evolves;
  3. keep {file} as it is and add {type}.v{next}.json beside it, as for every other type.
A field that is dropped, renamed or retyped without that makes old logs unreadable."""


@pytest.mark.parametrize("name", FACT_TYPES)
def test_a_freshly_decided_event_has_the_shape_that_is_stored(name: str) -> None:
    file = f"{name}.v{SCHEMA_VERSION}.json"
    fresh, stored = shape(stored_form(decided(name))), shape(read(file))
    difference = ", ".join(
        [f"new {field}" for field in sorted(fresh - stored)]
        + [f"gone {field}" for field in sorted(stored - fresh)]
    )
    assert not difference, how_to_change(name, file, difference)


@pytest.mark.parametrize("name", FACT_TYPES)
def test_the_fixture_sets_every_field_of_its_fact(name: str) -> None:
    file = f"{name}.v{SCHEMA_VERSION}.json"
    different = set(read(file)["data"]) ^ set(FACT_TYPES[name].__struct_fields__)
    assert not different, how_to_change(name, file, ", ".join(sorted(different)))


@pytest.mark.parametrize("file", sorted(path.name for path in STORED.glob("*.json")))
def test_every_version_that_was_ever_stored_can_be_read_and_evolves(file: str) -> None:
    event = msgspec.convert(read(file), Event)
    name, _, version = file.removesuffix(".json").rpartition(".v")
    assert (event.type, event.v) == (name, int(version))
    before = Given(*DECIDED[name][0]).alarm
    assert evolve(before, event) == event.alarm


def test_there_is_a_fixture_of_every_type_and_version() -> None:
    files = {path.name for path in STORED.glob("*.json")}
    assert files == {f"{name}.v{v}.json" for name in FACT_TYPES for v in range(1, SCHEMA_VERSION + 1)}


ADDED: list[Callable[[dict[str, Any]], None]] = [
    lambda document: document.update(weather="fine"),
    lambda document: document["data"].update(weather="fine"),
    lambda document: document["alarm"].update(weather="fine"),
    lambda document: document["alarm"]["origins"][""].update(weather="fine"),
    lambda document: document["actor"].pop("kind"),
    lambda document: document["data"].pop("severity"),
]


@pytest.mark.parametrize("change", ADDED)
def test_a_change_at_any_depth_is_a_change_of_shape(change: Callable[[dict[str, Any]], None]) -> None:
    stored = read("alarm.raised.v1.json")
    before = shape(stored)
    change(stored)
    assert shape(stored) != before


def how_to_change(name: str, file: str, difference: str) -> str:
    return HOW_TO_CHANGE.format(
        type=name, file=file, difference=difference, version=SCHEMA_VERSION, next=SCHEMA_VERSION + 1
    )


def decided(name: str) -> Event:
    history, command = DECIDED[name]
    return Given(*history).and_then(command)


def stored_form(event: Event) -> dict[str, Any]:
    """The event as JSON has it: times are texts."""
    stored: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(event))
    return stored


def read(file: str) -> dict[str, Any]:
    stored: dict[str, Any] = msgspec.json.decode((STORED / file).read_bytes())
    return stored


# Their keys are the users' own.
OPEN = {"alarm.labels", "alarm.details", "data.labels", "data.details", "data.previous.labels"}


def shape(value: Any, path: str = "") -> set[str]:
    """The paths of all fields, with the kind of what they hold; origins go by any name."""
    if not isinstance(value, dict) or path in OPEN:
        return {f"{path}: {kind(value)}"}
    fields = {f"{path}: object"} if path else set()
    for name, child in value.items():
        below = "*" if path in {"alarm.origins", "data.origins"} else name
        fields |= shape(child, f"{path}.{below}" if path else below)
    return fields


def kind(value: Any) -> str:
    return type(value).__name__

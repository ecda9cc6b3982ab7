"""The checker of the fault tests: one planted violation for each kind, caught; a clean history passes."""

from collections import Counter
from collections.abc import Callable
from typing import get_args

import pytest
from msgspec.structs import replace

from tests.faults.checker import (
    Client,
    History,
    Kind,
    Operation,
    ProvesNothing,
    prove,
    violations,
)
from tests.kit.history import History as Log

PLANTED: dict[Kind, Callable[[History], None]] = {}


def clean() -> History:
    log = Log()
    for number in range(6):
        log.raised(f"pump-{number % 3}", text=f"op-{number}")
    events = list(log.events)
    everything = [(event.position, event.event_id) for event in events]
    some = [(event.position, event.event_id) for event in events if event.alarm.source == "pump-1"]
    return History(
        operations=[
            *(Operation(f"op-{number}", "ok", number + 1) for number in range(5)),
            Operation("op-5", "unknown"),
            Operation("op-6", "unknown"),
            Operation("op-7", "refused"),
        ],
        clients=[
            Client("all", until=6, seen=everything),
            Client("some", after=2, until=6, sources=frozenset({"pump-1"}), seen=some[1:]),
        ],
        log=events,
        alarms=dict(log.alarms),
        fired=Counter(kill=1),
    )


def planted(kind: Kind) -> Callable[[Callable[[History], None]], Callable[[History], None]]:
    def keep(plant: Callable[[History], None]) -> Callable[[History], None]:
        PLANTED[kind] = plant
        return plant

    return keep


@planted("lost")
def lose(history: History) -> None:
    history.operations[6] = Operation("op-6", "ok", 7)


@planted("misplaced")
def misplace(history: History) -> None:
    history.operations[0] = Operation("op-0", "ok", 2)


@planted("invented")
def invent(history: History) -> None:
    del history.operations[5]


@planted("resurrected")
def resurrect(history: History) -> None:
    history.operations[5] = Operation("op-5", "refused")


@planted("duplicated")
def duplicate(history: History) -> None:
    history.log = [*history.log, replace(history.log[5], position=7, revision=3)]


@planted("position gap")
def leave_out_a_position(history: History) -> None:
    history.log = [*history.log[:5], replace(history.log[5], position=7)]


@planted("revision gap")
def leave_out_a_revision(history: History) -> None:
    history.log = [*history.log[:5], replace(history.log[5], revision=3)]


@planted("out of order")
def swap(history: History) -> None:
    seen = history.clients[0].seen
    seen[1], seen[2] = seen[2], seen[1]


@planted("repeated")
def repeat(history: History) -> None:
    history.clients[0].seen.insert(3, history.clients[0].seen[2])


@planted("missed")
def miss(history: History) -> None:
    del history.clients[1].seen[0]


@planted("phantom")
def deliver_what_was_rolled_back(history: History) -> None:
    history.clients[0].seen[3] = (4, "rolled back")


@planted("read model")
def forget_a_row(history: History) -> None:
    stream = history.log[5].stream
    history.alarms = {**history.alarms, stream: history.log[2].alarm}


def test_a_clean_history_has_no_violation() -> None:
    assert prove(clean(), ["kill"]) == []


def test_every_kind_of_violation_is_planted() -> None:
    assert PLANTED.keys() == set(get_args(Kind))


@pytest.mark.parametrize("kind", get_args(Kind))
def test_a_planted_violation_is_caught(kind: Kind) -> None:
    history = clean()
    PLANTED[kind](history)
    assert kind in {violation.kind for violation in violations(history)}


def test_a_row_of_the_list_that_is_not_in_the_log_is_caught() -> None:
    history = clean()
    history.alarms = {**history.alarms, "other": replace(history.log[0].alarm, id="other")}
    assert [violation.kind for violation in violations(history)] == ["read model"]


def test_an_unknown_operation_may_be_there_or_not() -> None:
    history = clean()
    history.operations[5] = Operation("op-5", "unknown")
    assert violations(history) == []


def test_a_fault_that_did_not_fire_proves_nothing() -> None:
    with pytest.raises(ProvesNothing, match="did not fire: pause"):
        prove(clean(), ["kill", "pause"])


def test_a_run_in_which_nothing_was_acknowledged_proves_nothing() -> None:
    history = clean()
    history.operations = [Operation("op-0", "unknown")]
    with pytest.raises(ProvesNothing, match="acknowledged"):
        prove(history, ["kill"])


def test_a_run_in_which_nothing_was_delivered_proves_nothing() -> None:
    history = clean()
    for client in history.clients:
        client.seen.clear()
    with pytest.raises(ProvesNothing, match="delivered"):
        prove(history, ["kill"])

"""What tests/machines/test_appender.py is too random to show every time."""

from collections.abc import Callable
from typing import Any, Literal
from unittest.mock import patch

import pytest
from msgspec.structs import replace

from core.alarm.alarm import Alarm, Identity
from core.alarm.decider import decide
from core.alarm.events import Event
from core.errors import InvalidInput, OutcomeUnknown, TocsinError, Unavailable, UnknownEvent
from core.log.appender import QUEUE_SUBMISSIONS
from core.log.submission import Submission
from tests.kit.given import raising
from tests.kit.replicas import REFUSED, UNSTORABLE, Client, Insert, Pause, Process, Read, Replicas

Told = list[Event | TocsinError]


def submitted(
    process: Process, source: str, text: str = "", key: str | None = None
) -> tuple[Submission, Told]:
    """Submit the first event of an alarm; return its entry and what its caller is told."""
    told: Told = []
    identity = Identity("default", source, "pressure")
    before = Alarm.absent(identity.alarm_id)
    event = decide(before, raising(identity=identity, text=text, at=ord(source)))
    assert event is not None
    event = replace(event, command_id=key)
    entry = Submission(before, event, told.append)
    process.appender.submit(entry)
    return entry, told


def run_until(process: Process, holds: Callable[[], bool]) -> None:
    """Let everything go well until something holds."""
    for _ in range(20):
        if holds():
            return
        if process.call is None:
            process.start()
        else:
            process.let_through()
    raise AssertionError("it never held")


def waits_for(process: Process, kind: type[Insert | Read[Any] | Pause]) -> bool:
    return isinstance(process.call, kind)


def positions(told: Told) -> list[int]:
    return [each.position for each in told if isinstance(each, Event)]


def test_an_event_that_cannot_be_stored_does_not_hold_up_the_rest() -> None:
    replicas = Replicas()
    here = Process(replicas, "none")
    entry, told = submitted(here, "a", UNSTORABLE)
    _, others = submitted(here, "b")
    run_until(here, lambda: bool(others))
    assert [type(each) for each in told] == [InvalidInput]
    assert positions(others) == [1]
    assert not here.appender.withdraw(entry)


def test_an_event_that_the_store_refuses_does_not_hold_up_the_rest() -> None:
    here = Process(Replicas(), "none")
    told = [submitted(here, source, REFUSED if source == "b" else "")[1] for source in "abc"]
    run_until(here, lambda: all(told))
    assert [type(each) for each in told[1]] == [Unavailable]
    assert [positions(each) for each in told] == [[1], [], [2]]


def test_nobody_is_told_twice_when_a_read_fails_on_the_way() -> None:
    replicas = Replicas()
    here, there = Process(replicas, "none"), Process(replicas, "none")
    _, told = submitted(here, "a")
    run_until(here, lambda: waits_for(here, Insert))
    here.execute()
    here.lose(0)
    assert waits_for(here, Pause)
    others = [submitted(there, source)[1] for source in "bcd"]
    run_until(there, lambda: all(others))
    with patch("core.log.appender.STAMPS", 2):
        run_until(here, lambda: waits_for(here, Read))
        here.let_through()
        # More has happened than one read brings; this one asks for the tail.
        assert waits_for(here, Read)
        here.hold_back()
        run_until(here, lambda: bool(told) and here.call is None)
    assert positions(told) == [1]
    assert here.appender.tail == 4


def test_a_write_under_way_when_the_log_was_replaced_says_nothing_of_its_tail() -> None:
    replicas = Replicas()
    here = Process(replicas, "none")
    _, told = submitted(here, "a")
    run_until(here, lambda: waits_for(here, Insert))
    here.appender.forget()
    run_until(here, lambda: bool(told))
    assert here.call is None
    submitted(here, "b")
    here.start()
    assert waits_for(here, Read)


def test_an_entry_can_be_withdrawn_until_it_is_under_way() -> None:
    here = Process(Replicas(), "none")
    first, told = submitted(here, "a")
    second, _ = submitted(here, "b")
    assert here.appender.withdraw(second)
    assert here.appender.waiting == 1
    run_until(here, lambda: waits_for(here, Insert))
    assert not here.appender.withdraw(first)
    here.let_through()
    assert positions(told) == [1]
    assert not here.appender.withdraw(first)


def test_an_entry_that_was_held_back_unsent_can_be_withdrawn_again() -> None:
    here = Process(Replicas(), "none")
    entry, told = submitted(here, "a")
    run_until(here, lambda: waits_for(here, Insert))
    here.hold_back()
    assert here.appender.withdraw(entry)
    assert told == []


def test_an_entry_whose_outcome_is_unknown_cannot_be_withdrawn() -> None:
    here = Process(Replicas(), "none")
    entry, told = submitted(here, "a")
    run_until(here, lambda: waits_for(here, Insert))
    here.lose(0)
    assert not here.appender.withdraw(entry)
    run_until(here, lambda: waits_for(here, Insert))
    # Not even when the next try is not sent: the first may land yet.
    here.hold_back()
    assert not here.appender.withdraw(entry)
    run_until(here, lambda: bool(told))
    assert positions(told) == [1]


def test_the_appenders_queue_is_bounded() -> None:
    here = Process(Replicas(), "none")
    entry, _ = submitted(here, "a")
    for _ in range(QUEUE_SUBMISSIONS - 1):
        here.appender.submit(entry)
    with pytest.raises(Unavailable):
        here.appender.submit(entry)


@pytest.mark.parametrize(
    ("error", "told_first"),
    [(UnknownEvent("alarm.dreamt", 9, 1), UnknownEvent), (KeyError("alarm"), Unavailable)],
)
def test_an_event_of_the_same_key_that_cannot_be_read_does_not_hold_up_the_rest(
    error: Exception, told_first: type[TocsinError]
) -> None:
    replicas = Replicas()
    here, there = Process(replicas, "none"), Process(replicas, "none")
    _, before = submitted(there, "a", key="k")
    run_until(there, lambda: bool(before))
    _, told = submitted(here, "b", key="k")
    _, others = submitted(here, "c")
    found = Client.find

    async def failing(client: Client, event: Event, key: Literal["event_id", "command"]) -> Event | None:
        if key == "command":
            raise error
        return await found(client, event, key)

    with patch.object(Client, "find", failing):
        run_until(here, lambda: bool(others))
    assert [type(each) for each in told] == [told_first]
    assert positions(others) == [2]


def test_who_waits_is_told_when_the_store_raises_what_nobody_foresaw() -> None:
    here = Process(Replicas(), "none")
    told = [submitted(here, source)[1] for source in "ab"]
    with patch.object(Client, "insert", side_effect=KeyError("code")), pytest.raises(KeyError):
        run_until(here, lambda: all(told))
    assert [type(each) for each in told[0] + told[1]] == [OutcomeUnknown, OutcomeUnknown]
    here.call = None
    _, later = submitted(here, "c")
    run_until(here, lambda: bool(later))
    assert positions(later) == [1]


def test_what_waits_is_bounded_in_bytes_until_it_has_its_outcome() -> None:
    here = Process(Replicas(), "none")
    first, told = submitted(here, "a", "x" * 2_000)
    with patch("core.log.appender.QUEUE_BYTES", 2 * first.size + 100):
        second, _ = submitted(here, "b", "x" * 2_000)
        with pytest.raises(Unavailable, match="are waiting already"):
            submitted(here, "c")
        assert here.appender.withdraw(second)
        _, others = submitted(here, "d", "x" * 2_000)
        with pytest.raises(Unavailable, match="are waiting already"):
            submitted(here, "e")
        run_until(here, lambda: bool(told and others))
        submitted(here, "f", "x" * 2_000)
    with patch("core.log.appender.QUEUE_BYTES", 1):
        alone = Process(Replicas(), "none")
        submitted(alone, "a")

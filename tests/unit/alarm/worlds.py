"""Hypothesis strategies: commands on few alarms, by few origins, at few times, so that they meet."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from hypothesis import strategies as st
from msgspec.structs import replace

from core.alarm.alarm import SEVERITY_RANK, Alarm
from core.alarm.commands import Command
from core.alarm.condition import Clear, Raise
from core.alarm.context import Context
from core.alarm.decider import decide
from core.alarm.events import Actor, Event
from core.alarm.evolution import place
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
from tests.kit.given import BEGINNING, PUMP

times = st.integers(0, 20_000_000).map(lambda us: BEGINNING + timedelta(microseconds=us))
since = st.none() | st.sampled_from([BEGINNING + timedelta(milliseconds=each) for each in (0, 1, 5_000)])
reasons = st.sampled_from(["", "repair"])
details = st.sampled_from(
    [
        {},
        {"bar": 7},
        {"bar": 7.5},
        {"bar": [-(2**63), 2**63 - 1, 1e300, True, None]},
        {"b.c": {"": [], "$d": {}}},
    ]
)
contexts = st.builds(
    Context,
    event_id=st.just("event"),
    tenant=st.sampled_from(["default"] * 7 + ["other"]),
    actor=st.sampled_from([Actor("line", "source"), Actor("olga", "operator"), Actor("tocsin", "system")]),
    now=times,
    occurred_at=st.none() | times,
    command_id=st.none() | st.just("key"),
    command_hash=st.none() | st.just("hash"),
    trace=st.none() | st.just("00-trace"),
    administrator=st.booleans(),
)


def about(kind: type[Command], **more: st.SearchStrategy[Any]) -> st.SearchStrategy[Command]:
    return st.builds(kind, context=contexts, alarm_id=st.just(PUMP.alarm_id), **more)


raises = st.builds(
    Raise,
    context=contexts,
    identity=st.just(PUMP),
    severity=st.sampled_from(list(SEVERITY_RANK)),
    text=st.sampled_from(["", "hot", "hotter", "é\0\n\"'"]),
    labels=st.sampled_from([{}, {"a": "x"}, {"a": "y", "b": ""}]),
    details=details,
    event_type=st.sampled_from([None, "process"]),
    probable_cause=st.sampled_from([None, "leak"]),
    annunciate=st.booleans(),
    latched=st.booleans(),
    origin=st.sampled_from(["", "a", "b"]),
    since=since,
)
_KINDS: list[st.SearchStrategy[Command]] = [
    raises,
    raises,
    about(Clear, origin=st.sampled_from([None, "", "a", "b"]), since=since),
    about(Acknowledge, revision=st.integers(-1, 12)),
    about(Shelve, seconds=st.sampled_from([None, 0, 1, 60, 61]), max_seconds=st.just(60)),
    about(RemoveFromService, reason=reasons) | about(PlaceInService, reason=reasons),
    about(Suppress, reason=reasons) | about(Unsuppress, reason=reasons),
    about(Assign, assignee=st.sampled_from(["olga", "oleg"])) | about(Unassign),
    about(Confirm) | about(Reset) | about(Unshelve) | about(Comment, text=st.just("hm")),
]
any_command = st.one_of(_KINDS)


def minted(command: Command, event_id: str) -> Command:
    """The command with its own event id."""
    return replace(command, context=replace(command.context, event_id=event_id))


@st.composite
def histories(draw: st.DrawFn, most: int = 12) -> list[Event]:
    """The events of one alarm, placed, with the positions and times of others between them."""
    happened: list[Event] = []
    alarm, position = Alarm.absent(PUMP.alarm_id), 0
    at: datetime | None = None
    for number, command in enumerate(draw(st.lists(any_command, max_size=most))):
        event = decided(alarm, minted(command, f"event-{number}"))
        if event is not None:
            position += 1 + number % 3
            happened.append(place(alarm, event, position, at))
            alarm, at = happened[-1].alarm, happened[-1].at
    return happened


@st.composite
def events(draw: st.DrawFn) -> Event:
    """Any event."""
    return draw(histories().filter(bool))[-1]


def decided(alarm: Alarm, command: Command) -> Event | None:
    """The event that the command records; None: nothing changes, or it is refused."""
    try:
        return decide(alarm, command)
    except Refused:
        return None


def after(happened: Sequence[Event]) -> Alarm:
    """The alarm after a history."""
    return happened[-1].alarm if happened else Alarm.absent(PUMP.alarm_id)

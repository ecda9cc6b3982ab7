"""Given commands that happened, when a command comes, then an event, nothing or a refusal."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.alarm.alarm import Alarm, Identity, Severity
from core.alarm.commands import Command
from core.alarm.condition import Clear, Raise
from core.alarm.context import Context
from core.alarm.decider import decide
from core.alarm.events import Actor, ActorKind, Event
from core.alarm.evolution import evolve, place
from core.alarm.responses import Acknowledge
from core.errors import Refused

BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
PUMP = Identity("default", "line/1", "pressure", "pump")


def second(number: float) -> datetime:
    """The beginning and some seconds."""
    return BEGINNING + timedelta(seconds=number)


def context(kind: ActorKind = "source", *, at: float = 0, tenant: str = "default", **more: Any) -> Context:
    actor = Actor(f"some {kind}", kind)
    return Context(event_id=f"event-{at}", tenant=tenant, actor=actor, now=second(at), **more)


def raising(
    severity: Severity = "major",
    *,
    at: float = 0,
    since: float | None = None,
    occurred: float | None = None,
    identity: Identity = PUMP,
    **more: Any,
) -> Raise:
    return Raise(
        context=context(
            at=at,
            tenant=identity.tenant,
            occurred_at=None if occurred is None else second(occurred),
        ),
        identity=identity,
        severity=severity,
        since=None if since is None else second(since),
        **more,
    )


def clearing(
    origin: str | None = None,
    *,
    by: ActorKind = "source",
    at: float = 0,
    since: float | None = None,
    tenant: str = "default",
) -> Clear:
    return Clear(
        context=context(by, at=at, tenant=tenant),
        alarm_id=PUMP.alarm_id,
        origin=origin,
        since=None if since is None else second(since),
    )


def acknowledging(revision: int, *, at: float = 0, tenant: str = "default") -> Acknowledge:
    operator = context("operator", at=at, tenant=tenant)
    return Acknowledge(context=operator, alarm_id=PUMP.alarm_id, revision=revision)


class Given:
    """An alarm with a history."""

    def __init__(self, *commands: Command) -> None:
        self.alarm = Alarm.absent(PUMP.alarm_id)
        for command in commands:
            self.and_then(command)

    def and_then(self, command: Command) -> Event:
        """One more command that happened: it must have recorded an event."""
        event = decide(self.alarm, command)
        assert event is not None
        event = place(self.alarm, event, self.alarm.position + 1, self.alarm.updated_at)
        assert evolve(self.alarm, event) == event.alarm
        self.alarm = event.alarm
        return event

    def when(self, command: Command) -> Event:
        """The event that the command records now; the history stays as it was."""
        event = decide(self.alarm, command)
        assert event is not None
        assert evolve(self.alarm, event) == event.alarm
        return event

    def nothing_when(self, command: Command) -> None:
        assert decide(self.alarm, command) is None

    def refused_when(self, command: Command, code: str) -> Refused:
        with refused(code) as refusal:
            decide(self.alarm, command)
        return refusal[0]


@contextmanager
def refused(code: str) -> Iterator[list[Refused]]:
    """Expect a refusal with this code; it is in the list afterwards."""
    found: list[Refused] = []
    with pytest.raises(Refused) as caught:
        yield found
    assert caught.value.code == code
    assert caught.value.detail
    found.append(caught.value)

"""Histories to test with: events as the log would record them, made by commands through the decider."""

from datetime import UTC, datetime, timedelta
from functools import reduce

from msgspec.structs import replace

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


class History:
    """The events of a log from position 1, a second apart."""

    def __init__(self, tenant: str = "default") -> None:
        self.tenant = tenant
        self.events: list[Event] = []
        self.alarms: dict[str, Alarm] = {}
        self.commands = 0

    def raised(self, source: str, severity: Severity = "major", text: str = "") -> Event | None:
        """Raise the alarm of the source."""
        identity = Identity(self.tenant, source, "pressure")
        return self.add(
            Raise(context=self._context("source"), identity=identity, severity=severity, text=text)
        )

    def cleared(self, source: str) -> Event | None:
        """Clear the alarm of the source."""
        return self.add(Clear(context=self._context("source"), alarm_id=self.alarm_id(source)))

    def acknowledged(self, source: str) -> Event | None:
        """Acknowledge the alarm of the source as it stands."""
        alarm_id = self.alarm_id(source)
        revision = self.alarms[alarm_id].revision if alarm_id in self.alarms else 0
        context = self._context("operator")
        return self.add(Acknowledge(context=context, alarm_id=alarm_id, revision=revision))

    def add(self, command: Command) -> Event | None:
        """Carry the command out; None: it changed nothing or was refused."""
        before = self.alarms.get(command.alarm_id) or Alarm.absent(command.alarm_id)
        try:
            event = decide(before, command)
        except Refused:
            return None
        if event is None:
            return None
        placed = place(before, event, len(self.events) + 1, self.events[-1].at if self.events else None)
        self.events.append(placed)
        self.alarms[placed.stream] = placed.alarm
        return placed

    def alarm_id(self, source: str) -> str:
        """The id of the source's alarm."""
        return Identity(self.tenant, source, "pressure").alarm_id

    def fold(self, position: int | None = None) -> dict[str, Alarm]:
        """Every alarm as its events up to the position make it."""
        events = self.events[:position]
        streams = dict.fromkeys(event.stream for event in events)
        return {
            stream: reduce(evolve, (e for e in events if e.stream == stream), Alarm.absent(stream))
            for stream in streams
        }

    def _context(self, kind: ActorKind) -> Context:
        self.commands += 1
        return Context(
            event_id=f"{self.tenant}-{self.commands}",
            tenant=self.tenant,
            actor=Actor("someone", kind),
            now=BEGINNING + timedelta(seconds=self.commands),
        )


class Shift(History):
    """A history whose times are told: `now` goes on by what `wait` says."""

    def __init__(self, tenant: str = "default") -> None:
        super().__init__(tenant)
        self.now = BEGINNING

    def wait(self, seconds: float) -> None:
        """Let some time pass."""
        self.now += timedelta(seconds=seconds)

    def _context(self, kind: ActorKind) -> Context:
        return replace(super()._context(kind), now=self.now)

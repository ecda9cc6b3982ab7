"""What a run under faults must look like afterwards. Pure: it judges a recorded history.

Every operation ended ok (it is in the log, once, where the answer said), refused (it never appears) or
unknown (it may appear, once). Every client saw what it wanted, once, in order. The list is the fold.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Literal

from core.alarm.alarm import Alarm
from core.alarm.events import Event
from core.alarm.evolution import evolve

Outcome = Literal["ok", "refused", "unknown"]
Kind = Literal[
    "lost",
    "misplaced",
    "invented",
    "resurrected",
    "duplicated",
    "position gap",
    "revision gap",
    "out of order",
    "repeated",
    "missed",
    "phantom",
    "read model",
]


@dataclass(frozen=True, slots=True)
class Operation:
    """A command and how it ended; its key is found again in the event. `position` is what an ok answered."""

    key: str
    outcome: Outcome
    position: int | None = None


@dataclass(slots=True)
class Client:
    """What one client was sent of the positions > after, up to `until`; `sources` None: it wanted all."""

    name: str
    after: int = 0
    until: int = 0
    sources: frozenset[str] | None = None
    seen: list[tuple[int, str]] = field(default_factory=list)

    def wants(self, event: Event) -> bool:
        """Tell whether it should have been sent the event."""
        wanted = self.sources is None or event.alarm.source in self.sources
        return wanted and self.after < event.position <= self.until


@dataclass(slots=True)
class History:
    """All that happened: `log` and `alarms` (the read model) as they are at the end, read at majority."""

    operations: list[Operation] = field(default_factory=list)
    clients: list[Client] = field(default_factory=list)
    log: Sequence[Event] = ()
    alarms: Mapping[str, Alarm] = field(default_factory=dict)
    # How often each fault that was asked for did something to somebody.
    fired: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Violation:
    """A promise that was broken."""

    kind: Kind
    detail: str


class ProvesNothing(AssertionError):
    """The run was such that no violation could have shown."""


def prove(history: History, faults: Iterable[str]) -> list[Violation]:
    """Return the violations of a run that was to have these faults.

    Raises:
        ProvesNothing: one of the faults did not fire, nothing was acknowledged, or nobody was sent anything.
    """
    missing = sorted(fault for fault in faults if not history.fired[fault])
    if missing:
        raise ProvesNothing(f"did not fire: {', '.join(missing)}")
    if not any(operation.outcome == "ok" for operation in history.operations):
        raise ProvesNothing("nothing was acknowledged")
    if not any(client.seen for client in history.clients):
        raise ProvesNothing("nothing was delivered")
    return violations(history)


def violations(history: History) -> list[Violation]:
    """Return everything that is wrong with the history of a whole log."""
    return [*positions(history.log), *judged(history)]


def judged(history: History) -> list[Violation]:
    """Return what is wrong with the history of one tenant, whose events are not the log's only ones."""
    found = [*_events(history.log), *_operations(history)]
    for client in history.clients:
        found += _delivered(client, history.log)
    return found + list(_read_model(history))


def key_of(event: Event) -> str:
    """Return the key of the operation that the event is of: its Idempotency-Key, else the alarm's text."""
    return event.command_id or event.alarm.text


def positions(log: Iterable[Event], after: int = 0) -> Iterator[Violation]:
    """Return the first place where the positions after that one leave a gap."""
    for expected, event in enumerate(log, after + 1):
        if event.position != expected:
            yield Violation("position gap", f"{event.position} stands where {expected} should")
            break


def _events(log: Sequence[Event]) -> Iterator[Violation]:
    revisions: Counter[str] = Counter()
    for event in log:
        revisions[event.stream] += 1
        if event.revision != revisions[event.stream]:
            yield Violation("revision gap", f"{event.stream} {event.revision} at {event.position}")
            revisions[event.stream] = event.revision
    for event_id, count in Counter(event.event_id for event in log).items():
        if count > 1:
            yield Violation("duplicated", f"event {event_id} is there {count} times")


def _operations(history: History) -> Iterator[Violation]:
    places: dict[str, list[int]] = {}
    for event in history.log:
        places.setdefault(key_of(event), []).append(event.position)
    known = {operation.key: operation for operation in history.operations}
    for operation in known.values():
        yield from _operation(operation, places.get(operation.key, []))
    for key, found in places.items():
        if key not in known:
            yield Violation("invented", f"nobody asked for {key!r} at {found}")


def _operation(operation: Operation, places: list[int]) -> Iterator[Violation]:
    if len(places) > 1:
        yield Violation("duplicated", f"{operation.key} is at {places}")
    if operation.outcome == "refused" and places:
        yield Violation("resurrected", f"{operation.key} was refused and is at {places}")
    if operation.outcome == "ok" and not places:
        yield Violation("lost", f"{operation.key} was acknowledged at {operation.position}")
    if operation.outcome == "ok" and places and operation.position not in places:
        yield Violation("misplaced", f"{operation.key}: {operation.position} answered, {places} recorded")


def _delivered(client: Client, log: Sequence[Event]) -> Iterator[Violation]:
    wanted = {event.position: event.event_id for event in log if client.wants(event)}
    seen: set[int] = set()
    newest = client.after
    for position, event_id in client.seen:
        if position in seen:
            yield Violation("repeated", f"{client.name}: {position}")
        elif position < newest:
            yield Violation("out of order", f"{client.name}: {position} after {newest}")
        if wanted.get(position) != event_id:
            yield Violation("phantom", f"{client.name}: {event_id} at {position}")
        seen.add(position)
        newest = max(newest, position)
    missed = sorted(wanted.keys() - seen)
    if missed:
        yield Violation("missed", f"{client.name}: {len(missed)}, the first {missed[0]}")


def _read_model(history: History) -> Iterator[Violation]:
    streams: dict[str, list[Event]] = {}
    for event in history.log:
        streams.setdefault(event.stream, []).append(event)
    for stream, events in streams.items():
        folded = reduce(evolve, events, Alarm.absent(stream))
        listed = history.alarms.get(stream)
        if listed != folded:
            told = "nothing" if listed is None else f"revision {listed.revision}"
            yield Violation("read model", f"{stream}: {told} is listed, the fold is {folded.revision}")
    for stream in history.alarms.keys() - streams.keys():
        yield Violation("read model", f"{stream} is listed and not in the log")

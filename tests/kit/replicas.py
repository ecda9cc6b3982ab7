"""A replica set as the append protocol meets it, stepped by hand: nothing happens unless the test says so."""

from collections.abc import Callable, Coroutine, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

from core.alarm.events import Event
from core.errors import InvalidInput, Unavailable
from core.log.appender import BATCH_BYTES, Appender
from core.log.ports import START, Duplicate, NotSent, Rejected, Result, Stamp, Unknown, Written

Key = Literal["position", "revision", "event_id", "command"]
T = TypeVar("T")

Violation = Literal["none", "local_reads", "bare_duplicate", "unknown_is_written", "unknown_is_not_sent"]
"""What a planted client does wrong; the machine has to notice."""

UNSTORABLE, REFUSED, LARGE = "unstorable", "refused", "large"
"""How the texts begin of events that cannot be encoded, that the server refuses, that fill half a batch."""


@dataclass(eq=False)
class Insert:
    """An insert on its way: not executed yet, or executed in `term` and waiting for the majority."""

    documents: list[Event]
    executed: Result | None = None
    needs: int = 0
    term: int = -1

    def __await__(self) -> Generator["Insert", Result, Result]:
        return (yield self)


@dataclass(eq=False)
class Read(Generic[T]):
    """A read on its way; it sees what there is when it is let through."""

    run: Callable[[], T]

    def __await__(self) -> Generator["Read[T]", None, T]:
        yield self
        return self.run()


@dataclass(eq=False)
class Pause:
    """A wait before the next try."""

    def __await__(self) -> Generator["Pause", None, None]:
        yield self


Call = Insert | Read[Any] | Pause


@dataclass
class Replicas:
    """The primary's log in the order of its oplog. Its first `committed` entries are on a majority and stay.

    Majority reads see the first `view`: after a failover the new primary may not yet know how far that is.
    """

    log: list[Event] = field(default_factory=list)
    committed: int = 0
    view: int = 0
    term: int = 0
    flights: list[list[Event]] = field(default_factory=list)

    def execute(self, documents: Sequence[Event]) -> tuple[Result, int]:
        """Insert in order up to the first that fails; also say how much has to be committed to answer so."""
        needs = 0
        for index, event in enumerate(documents):
            if event.alarm.text.startswith(REFUSED):
                return Rejected(index, "never"), needs
            met = self._met(event)
            if met is not None:
                key, place = met
                return Duplicate(index, key), max(needs, place + 1)
            self.log.append(event)
            needs = len(self.log)
        return Written(), needs

    def commit(self, entries: int) -> None:
        """A majority has the first `entries` now, and the primary knows it."""
        self.committed = max(self.committed, entries)
        self.view = max(self.view, entries)

    def fail_over(self, kept: int, lag: int) -> None:
        """Elect a primary that has what is committed and `kept` more, and that knows of `lag` less."""
        del self.log[self.committed + kept :]
        self.view = max(0, self.committed - lag)
        self.term += 1

    def majority(self) -> list[Event]:
        """What no failure takes away, in order of position."""
        return sorted(self.log[: self.committed], key=lambda event: event.position)

    def _met(self, event: Event) -> tuple[Key, int] | None:
        # The order in which the server looks at its unique indexes.
        keys: list[tuple[Key, Callable[[Event], object]]] = [
            ("position", lambda each: each.position),
            ("revision", lambda each: (each.stream, each.revision)),
            ("event_id", lambda each: each.event_id),
        ]
        if event.command_id is not None:
            keys.append(("command", lambda each: (each.tenant, each.command_id)))
        for name, key in keys:
            for place, other in enumerate(self.log):
                if key(other) == key(event):
                    return name, place
        return None


class Client:
    """A process's way to the store (see core.log.ports.Store)."""

    def __init__(self, replicas: Replicas, violation: Violation) -> None:
        self._replicas = replicas
        self._violation = violation

    def encode(self, event: Event) -> tuple[Event, int]:
        if event.alarm.text.startswith(UNSTORABLE):
            raise InvalidInput("it cannot be stored")
        return event, BATCH_BYTES // 2 if event.alarm.text.startswith(LARGE) else 900

    async def insert(self, documents: Sequence[Event]) -> Result:
        result = await Insert(list(documents))
        if isinstance(result, Unknown) and self._violation == "unknown_is_written":
            return Written()
        if isinstance(result, Unknown) and self._violation == "unknown_is_not_sent":
            return NotSent()
        return result

    async def stamps(self, first: int, limit: int) -> Sequence[Stamp]:
        return await Read(
            lambda: [stamp_of(event) for event in self._seen() if event.position >= first][:limit]
        )

    async def stamp_of(self, stream: str, revision: int) -> Stamp | None:
        wanted = (stream, revision)
        return await Read(
            lambda: next((stamp_of(e) for e in self._seen() if (e.stream, e.revision) == wanted), None)
        )

    async def find(self, event: Event, key: Literal["event_id", "command"]) -> Event | None:
        def same(other: Event) -> bool:
            if key == "event_id":
                return other.event_id == event.event_id
            return (other.tenant, other.command_id) == (event.tenant, event.command_id)

        return await Read(lambda: next((other for other in self._seen() if same(other)), None))

    async def tail(self) -> Stamp:
        return await Read(lambda: stamp_of(self._seen()[-1]) if self._seen() else START)

    def _seen(self) -> list[Event]:
        seen = len(self._replicas.log) if self._violation == "local_reads" else self._replicas.view
        return sorted(self._replicas.log[:seen], key=lambda event: event.position)


class Process:
    """One appender, and the call it waits on."""

    def __init__(self, replicas: Replicas, violation: Violation) -> None:
        self._replicas = replicas
        self._violation = violation
        self.appender = Appender(Client(replicas, violation), lambda _: _pause())
        self.call: Call | None = None
        self.landed: list[Event] = []
        self._flush: Coroutine[Call, Any, Sequence[Event]] | None = None

    def start(self) -> None:
        """Begin a flush."""
        assert self._flush is None
        self._flush = self.appender.flush()
        self._go(None)

    def let_through(self) -> None:
        """Let the call come to its end well."""
        if isinstance(self.call, Insert):
            self.execute()
            self.answer()
        else:
            self._go(None)

    def execute(self) -> None:
        """Let the insert reach the primary."""
        assert isinstance(self.call, Insert)
        if self.call.executed is None:
            self.call.executed, self.call.needs = self._replicas.execute(self.call.documents)
            self.call.term = self._replicas.term
        if self._violation == "bare_duplicate" and isinstance(self.call.executed, Duplicate):
            self.call.needs = 0

    def answer(self) -> None:
        """Let the majority confirm the insert, unless its primary is gone."""
        assert isinstance(self.call, Insert)
        assert self.call.executed is not None
        if self.call.term != self._replicas.term:
            self._go(Unknown())
        else:
            self._replicas.commit(self.call.needs)
            self._go(self.call.executed)

    def lose(self, executed: int) -> None:
        """Lose the insert's answer: its first `executed` documents arrived; or none, and all may yet."""
        assert isinstance(self.call, Insert)
        if self.call.executed is None:
            if executed:
                self._replicas.execute(self.call.documents[:executed])
            else:
                self._replicas.flights.append(self.call.documents)
        self._go(Unknown())

    def hold_back(self) -> None:
        """Fail before anything is sent, or fail the read."""
        if isinstance(self.call, Insert):
            self._go(NotSent())
        else:
            self._go(Unavailable("no primary"))

    def kill(self) -> None:
        """End the process; what it has sent may still arrive."""
        if isinstance(self.call, Insert) and self.call.executed is None:
            self._replicas.flights.append(self.call.documents)
        if self._flush is not None:
            self._flush.close()

    def _go(self, answer: Result | Unavailable | None) -> None:
        assert self._flush is not None
        flush, self._flush, self.call = self._flush, None, None
        try:
            call = flush.throw(answer) if isinstance(answer, Unavailable) else flush.send(answer)
        except StopIteration as stopped:
            self.landed += stopped.value
            return
        self._flush, self.call = flush, call


def stamp_of(event: Event) -> Stamp:
    """Return the event's place in the log."""
    return Stamp(event.position, event.event_id, event.at)


async def _pause() -> None:
    await Pause()

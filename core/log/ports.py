"""What the log asks of the outside, and what it is promised.

Whatever a read of the log returns is majority-committed and stays. Every method raises Unavailable when the
log cannot be reached in bounded time.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any, Literal, Protocol, TypeVar

import msgspec

from core.alarm.alarm import Alarm
from core.alarm.events import Event, Recorded, Snapshot

Document = TypeVar("Document")
"""An event as a store keeps it."""


class Stamp(msgspec.Struct, frozen=True, gc=False):
    """An event's place in the log: position, id, and when it was recorded. Position 0: before the first."""

    position: int
    event_id: str
    at: datetime | None


START = Stamp(0, "", None)


class Page(msgspec.Struct, frozen=True, gc=False):
    """Events in order of position, and the log's moment they were read at (meaningful to its doorbell)."""

    events: Sequence[Event]
    moment: object


class EventAppender(Protocol):
    """Appends to the log of events: positions 1, 2, 3, ... without a gap, and nothing in it ever changes."""

    async def append(self, before: Alarm, event: Event) -> Event:
        """Append after the tail; all later readers see it at the position returned with it.

        `before` is the alarm the event was decided on. An event whose id is in the log already is
        returned as it stands there. The wait is bounded.

        Raises:
            RevisionConflict: the stream has an event of this revision; decide again.
            DuplicateCommand: an event has this (tenant, command_id).
            Unavailable: it is not in the log and will not be.
            OutcomeUnknown: it may be in the log, now or later.
        """
        ...


class LogPositions(Protocol):
    """Which log this is, and what stands at its positions."""

    async def stamp(self, position: int) -> Stamp | None:
        """Return the stamp of the event at the position, or None where there is none (yet)."""
        ...

    async def tail(self) -> Stamp:
        """Return the newest event's stamp, START for an empty log."""
        ...

    async def identity(self) -> str:
        """Return the log identity: a position only means something together with it."""
        ...


class EventReader(LogPositions, Protocol):
    """The log by position."""

    async def read(self, after: int, limit: int) -> Page:
        """Return at most `limit` events of positions > after, in order, as far as there are any."""
        ...

    async def recorded(self, after: int, limit: int) -> Sequence[Recorded]:
        """Return what `read` does, without the snapshots: less than half as much to fetch."""
        ...


class StreamReader(Protocol):
    """The log by stream: the events of one alarm."""

    async def newest(self, stream: str) -> Event | None:
        """Return the stream's newest event: the alarm as it stands."""
        ...

    async def stream(self, stream: str, after: int, limit: int) -> Sequence[Event]:
        """Return at most `limit` events of the stream with revisions > after, in order."""
        ...


class DecisionReader(StreamReader, Protocol):
    """What deciding a command reads: its alarm's stream, and what its Idempotency-Key left."""

    async def by_command(self, tenant: str, command_id: str) -> Event | None:
        """Return the event that was recorded with this Idempotency-Key."""
        ...


class QueryReader(LogPositions, StreamReader, Protocol):
    """What queries read: one alarm's events, or one tenant's."""

    async def of_tenant(self, tenant: str, after: int, limit: int) -> Sequence[Event]:
        """Return at most `limit` of the tenant's events of positions > after, in order; none: no more yet."""
        ...


class ProjectionReader(LogPositions, StreamReader, Protocol):
    """What a projection reads beside the events that it is handed."""


class ReplayReader(EventReader, StreamReader, Protocol):
    """What building a read model anew reads."""

    def newest_of_all(self) -> AsyncIterator[Sequence[Snapshot]]:
        """Yield each stream's newest snapshot, in pages: as it was when this began, or a later one.

        It costs what there are streams, not what there are events.
        """
        ...


class Written(msgspec.Struct, frozen=True, gc=False):
    """All documents are majority-committed."""


class Duplicate(msgspec.Struct, frozen=True, gc=False):
    """The documents before `index` are majority-committed, and so is what the one at `index` met.

    `key` says by which unique index: nothing of it or behind it was written by this command.
    """

    index: int
    key: Literal["position", "revision", "event_id", "command"]


class Rejected(msgspec.Struct, frozen=True, gc=False):
    """The documents before `index` are majority-committed; the store will never take the one at `index`."""

    index: int
    detail: str


class NotSent(msgspec.Struct, frozen=True, gc=False):
    """The command never left this process."""


class Unknown(msgspec.Struct, frozen=True, gc=False):
    """Any of the documents may be written, may be rolled back, or may be written yet."""


Result = Written | Duplicate | Rejected | NotSent | Unknown


class Store(Protocol[Document]):
    """The raw log: ordered inserts, and reads that see only what is majority-committed.

    Reads raise Unavailable.
    """

    def encode(self, event: Event) -> tuple[Document, int]:
        """Return the event's document and its size in bytes. Raises InvalidInput: it cannot be stored."""
        ...

    async def insert(self, documents: Sequence[Document]) -> Result:
        """Insert in order, up to the first that fails, in one command, majority and journaled."""
        ...

    async def stamps(self, first: int, limit: int) -> Sequence[Stamp]:
        """Return at most `limit` stamps of positions >= first, in order."""
        ...

    async def find(self, event_id: str) -> Event | None:
        """Return the event with this id."""
        ...

    async def by_command(self, tenant: str, command_id: str) -> Event | None:
        """Return the event with this Idempotency-Key."""
        ...

    async def tail(self) -> Stamp:
        """Return the newest stamp, START if there is none."""
        ...


class Notice(msgspec.Struct, frozen=True, gc=False):
    """What a doorbell tells.

    `events` it could bring along, the highest `position` it has heard of, `topics`: the names of other
    collections in which something changed, and whether `more` was waiting behind it.
    """

    events: Sequence[Event] = ()
    position: int = 0
    topics: frozenset[str] = frozenset()
    more: bool = False


class Doorbell(Protocol):
    """Tells that there is something new. It may be early, repeat itself or miss one; the log is read."""

    def listen(
        self, moment: object, known: Callable[[], int]
    ) -> AbstractAsyncContextManager[AsyncIterator[Notice]]:
        """Ring for everything committed after `moment`, the moment of a page read before.

        `known` returns the newest position that the listener knows: what is not newer need not come along.
        The iterator ends or raises Unavailable when the bell is broken: read, then listen anew.
        """
        ...


class KeptAnswer(msgspec.Struct, frozen=True, gc=False):
    """A command's answer that left no event: kept so that its Idempotency-Key gets it again."""

    command_hash: str
    body: dict[str, Any]


class Answers(Protocol):
    """Answers without an event by (tenant, Idempotency-Key), kept for a day."""

    async def find(self, tenant: str, command_id: str) -> KeptAnswer | None:
        """Return the first answer kept under the key."""
        ...

    async def keep(self, tenant: str, command_id: str, answer: KeptAnswer) -> None:
        """Keep the answer, unless the key has one."""
        ...

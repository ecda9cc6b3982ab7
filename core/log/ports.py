"""The log's ports, and their guarantees.

Everything that a read returns is majority-committed and stays. Every method raises Unavailable when the
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
    """Events in order of position, and the moment of the read, which the log's doorbell understands."""

    events: Sequence[Event]
    moment: object


class EventAppender(Protocol):
    """Appends events at positions 1, 2, 3, ... without a gap; a recorded event never changes."""

    async def append(self, before: Alarm, event: Event) -> Event:
        """Append after the tail; all later readers see the event at the returned position.

        `before` is the alarm that the event was decided on. An event whose id the log has already is
        returned as recorded. The wait is bounded.

        Raises:
            RevisionConflict: the stream has an event of this revision; decide again.
            DuplicateCommand: the log has an event of this (tenant, command_id).
            Unavailable: the event is not in the log and will not be.
            OutcomeUnknown: the event may be in the log, now or later.
        """
        ...


class LogPositions(Protocol):
    """The stamps at the log's positions."""

    async def stamp(self, position: int) -> Stamp | None:
        """Return the stamp of the event at the position, None if there is none (yet)."""
        ...

    async def tail(self) -> Stamp:
        """Return the newest event's stamp, START for an empty log."""
        ...


class LogIdentity(Protocol):
    """Tells which log it is."""

    async def identity(self) -> str:
        """Return the log identity; a position has a meaning only within its log."""
        ...


class EventReader(LogPositions, Protocol):
    """The log by position."""

    async def read(self, after: int, limit: int) -> Page:
        """Return at most `limit` events of positions > after, in order."""
        ...

    async def recorded(self, after: int, limit: int) -> Sequence[Recorded]:
        """Return the same events as `read`, without snapshots: less than half the data.

        Taking an event may decode it, each time, and raise UnknownEvent: go through them once, in order.
        """
        ...


class FeedReader(EventReader, LogIdentity, Protocol):
    """Reads for following the log's end."""


class FoldReader(Protocol):
    """The log by stream, from its first event: what folding an alarm takes."""

    async def stream(self, stream: str, after: int, limit: int) -> Sequence[Event]:
        """Return at most `limit` events of the stream with revisions > after, in order."""
        ...


class StreamReader(FoldReader, Protocol):
    """The log by stream: the events of one alarm."""

    async def newest(self, stream: str) -> Event | None:
        """Return the stream's newest event, None if the stream is empty."""
        ...


class DecisionReader(StreamReader, Protocol):
    """Reads for deciding a command: its alarm's stream, and the event of its Idempotency-Key.

    `confirmed` and `by_command` are linearizable: they see every event that was acknowledged, to whomever,
    before the call. `newest` may miss some: a primary that was just replaced can still answer it.
    """

    async def confirmed(self, stream: str) -> Event | None:
        """Return the stream's newest event, None if the stream is empty; costs a write that changes nothing.

        Calls that come at the same time share one read.
        """
        ...

    async def by_command(self, tenant: str, command_id: str) -> Event | None:
        """Return the event recorded with this Idempotency-Key, None if there is none."""
        ...


class QueryReader(LogPositions, LogIdentity, StreamReader, Protocol):
    """Reads for queries: one alarm's events, or one tenant's."""

    async def of_tenant(self, tenant: str, after: int, limit: int) -> Sequence[Event]:
        """Return at most `limit` of the tenant's events of positions > after, in order."""
        ...


class ProjectionReader(LogPositions, StreamReader, Protocol):
    """Reads for a projection, beside the events handed to it."""


class ReplayReader(EventReader, FoldReader, Protocol):
    """Reads for rebuilding a read model."""

    def newest_of_all(self) -> AsyncIterator[Sequence[Snapshot]]:
        """Yield each stream's newest snapshot, in pages, as of the beginning of the call or later.

        The cost grows with the streams, not with the events.
        """
        ...


class StreamLister(Protocol):
    """Which streams there are."""

    def streams(self) -> AsyncIterator[Sequence[str]]:
        """Yield the name of each stream that the log had at the beginning of the call, in pages.

        The cost grows with the streams, not with the events.
        """
        ...


class Written(msgspec.Struct, frozen=True, gc=False):
    """All documents are majority-committed."""


class Duplicate(msgspec.Struct, frozen=True, gc=False):
    """The document at `index` collides with a majority-committed one in the unique index `key`.

    The documents before it are majority-committed; this insert wrote none from `index` on.
    """

    index: int
    key: Literal["position", "revision", "event_id", "command"]


class Rejected(msgspec.Struct, frozen=True, gc=False):
    """The documents before `index` are majority-committed; the store will never take the one at `index`."""

    index: int
    detail: str


class NotSent(msgspec.Struct, frozen=True, gc=False):
    """The insert never left this process."""


class Unknown(msgspec.Struct, frozen=True, gc=False):
    """Any of the documents may be written, be rolled back, or be written later."""


Result = Written | Duplicate | Rejected | NotSent | Unknown


class Store(Protocol[Document]):
    """The raw log: ordered inserts, and reads that see only what is majority-committed.

    Reads raise Unavailable.
    """

    def encode(self, event: Event) -> tuple[Document, int]:
        """Return the event's document and its size in bytes. Raises InvalidInput if it cannot be stored."""
        ...

    async def insert(self, documents: Sequence[Document]) -> Result:
        """Insert in order, up to the first failure, by one command, majority-committed and journaled."""
        ...

    async def stamps(self, first: int, limit: int) -> Sequence[Stamp]:
        """Return at most `limit` stamps of positions >= first, in order."""
        ...

    async def stamp_of(self, stream: str, revision: int) -> Stamp | None:
        """Return the stamp of the stream's event of this revision, None if there is none."""
        ...

    async def find(self, event: Event, key: Literal["event_id", "command"]) -> Event | None:
        """Return the event that has the id, or the Idempotency-Key, of this one; None if there is none."""
        ...

    async def tail(self) -> Stamp:
        """Return the newest stamp, START if there is none."""
        ...


class Notice(msgspec.Struct, frozen=True, gc=False):
    """A doorbell's message.

    `events` are those it could bring along, `position` is the highest it knows, `topics` name the other
    collections that changed, and `more` tells whether further notices were waiting.
    """

    events: Sequence[Event] = ()
    position: int = 0
    topics: frozenset[str] = frozenset()
    more: bool = False


class Doorbell(Protocol):
    """Announces changes. A notice may be early, repeated or missing, so always read the log itself."""

    def listen(
        self, moment: object, known: Callable[[], int]
    ) -> AbstractAsyncContextManager[AsyncIterator[Notice]]:
        """Send notices of all that is committed after `moment`, the moment of an earlier page; None: now.

        `known` returns the newest position that the listener knows; notices may leave out events up to it.
        When the doorbell breaks, the iterator ends or raises Unavailable: read, then listen anew.
        """
        ...


class KeptAnswer(msgspec.Struct, frozen=True, gc=False):
    """The answer to a command that left no event, kept for retries with its Idempotency-Key."""

    command_hash: str
    body: dict[str, Any]


class Answers(Protocol):
    """Keeps answers without an event for a day, by (tenant, Idempotency-Key)."""

    async def find(self, tenant: str, command_id: str) -> KeptAnswer | None:
        """Return the first answer kept under the key, None if there is none."""
        ...

    async def keep(self, tenant: str, command_id: str, answer: KeptAnswer) -> None:
        """Keep the answer, unless the key has one."""
        ...

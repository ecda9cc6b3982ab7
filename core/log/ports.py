"""What core asks of the outside, and what it is promised. Adapters implement these."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any, Protocol

import msgspec

from core.alarm import Alarm, Severity, State
from core.callers import Caller, Role
from core.events import Event, Recorded, Snapshot
from core.listing import AlarmPage, AlarmQuery
from core.revocations import Revocation


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


class EventLog(Protocol):
    """The log of events: positions 1, 2, 3, ... without a gap, and nothing in it ever changes.

    Whatever a read returns is majority-committed and stays. Every method raises Unavailable when the
    log cannot be reached in bounded time.
    """

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

    async def read(self, after: int, limit: int) -> Page:
        """Return at most `limit` events of positions > after, in order, as far as there are any."""
        ...

    async def recorded(self, after: int, limit: int) -> Sequence[Recorded]:
        """Return what `read` does, without the snapshots: less than half as much to fetch."""
        ...

    async def of_tenant(self, tenant: str, after: int, limit: int) -> Sequence[Event]:
        """Return at most `limit` of the tenant's events of positions > after, in order; none: no more yet."""
        ...

    async def newest(self, stream: str) -> Event | None:
        """Return the stream's newest event: the alarm as it stands."""
        ...

    def newest_of_all(self) -> AsyncIterator[Sequence[Snapshot]]:
        """Yield each stream's newest snapshot, in pages: as it was when this began, or a later one.

        It costs what there are streams, not what there are events.
        """
        ...

    async def stream(self, stream: str, after: int, limit: int) -> Sequence[Event]:
        """Return at most `limit` events of the stream with revisions > after, in order."""
        ...

    async def by_command(self, tenant: str, command_id: str) -> Event | None:
        """Return the event that was recorded with this Idempotency-Key."""
        ...

    async def stamp(self, position: int) -> Stamp | None:
        """Return the stamp of the event at the position, or None where there is none (yet)."""
        ...

    async def tail(self) -> Stamp:
        """Return the newest event's stamp, START for an empty log."""
        ...

    async def identity(self) -> str:
        """Return the log identity: a position only means something together with it."""
        ...


class Ring(msgspec.Struct, frozen=True, gc=False):
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
    ) -> AbstractAsyncContextManager[AsyncIterator[Ring]]:
        """Ring for everything committed after `moment`, the moment of a page read before.

        `known` returns the newest position that the listener knows: what is not newer need not come along.
        The iterator ends or raises Unavailable when the bell is broken: read, then listen anew.
        """
        ...


class Checkpoint(msgspec.Struct, frozen=True, gc=False):
    """How far a projection is. `generation` counts the rebuilds that were swapped in under it."""

    position: int
    event_id: str
    generation: int


NO_CHECKPOINT = Checkpoint(0, "", 0)


class Lease(msgspec.Struct, frozen=True, gc=False):
    """The right to run a worker task: `token` grows with every holder, so that an old one is known."""

    name: str
    holder: str
    token: int


class Leases(Protocol):
    """One holder at a time for each name, judged by the server's clock."""

    async def acquire(self, name: str, holder: str, seconds: float) -> Lease | None:
        """Take the lease if it is free, has run out or is the holder's own; None if another holds it."""
        ...

    async def renew(self, lease: Lease, seconds: float) -> bool:
        """Hold it longer; False: it was lost."""
        ...

    async def release(self, lease: Lease) -> None:
        """Let go at once, so that another process need not wait for its end."""
        ...


class Counts(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How many alarms there are, by state and by severity.

    `active`: also those out of sight. `stale`: those in sight that were raised before some moment; `oldest`:
    so many of them, the longest active first.
    """

    by_state: Mapping[State, int]
    by_severity: Mapping[Severity, int]
    active: int
    stale: int
    oldest: Sequence[Alarm]


class AlarmList(Protocol):
    """The read model `alarms`: one row for each alarm, as its newest projected event left it."""

    async def write(self, rows: Mapping[str, Alarm]) -> None:
        """Replace each row, unless it is at this position or a later one already."""
        ...

    async def get(self, tenant: str, alarm_id: str) -> Alarm | None:
        """Return one row; None also for another tenant's."""
        ...

    async def page(self, query: AlarmQuery) -> AlarmPage:
        """Return one page of the list. Raises TooBroad.

        A row that stays where it is in the order comes once, whatever others do between two pages.
        """
        ...

    async def counts(self, query: AlarmQuery, stale_before: datetime, most: int) -> Counts:
        """Count the alarms that the query lists, and name at most `most` of the stale. Raises TooBroad."""
        ...

    def scan(self, tenant: str | None = None) -> AsyncIterator[Sequence[Alarm]]:
        """Yield all rows (of the tenant), in order of id, in pages."""
        ...

    def shelved(self) -> AsyncIterator[Sequence[Alarm]]:
        """Yield the rows of all tenants that are shelved until some time, the earliest first, in pages.

        A row that is not written meanwhile is yielded once; one that is may be left out or come twice.
        """
        ...


class AlarmHistory(Protocol):
    """The alarms as they stood when the log ended at a position; a position beyond its end is its end.

    All is read from the log. Every method raises Unavailable.
    """

    async def position_at(self, time: datetime) -> int:
        """Return the position of the newest event recorded at or before the time, 0 if there is none."""
        ...

    async def newest(self, tenant: str, alarm_id: str, position: int) -> Event | None:
        """Return the tenant's alarm's newest event at or before the position."""
        ...

    async def page(self, query: AlarmQuery, position: int) -> AlarmPage:
        """Return one page of the list as it stood. Costs what there are alarms. Raises TooBroad."""
        ...


class Checkpoints(Protocol):
    """How far each projection is."""

    async def load(self, projection: str) -> Checkpoint:
        """Return the checkpoint, NO_CHECKPOINT if there is none."""
        ...

    async def advance(self, projection: str, lease: Lease, to: Checkpoint) -> bool:
        """Move forward to `to`, or return False with nothing changed.

        It is refused if the generation is another, a later holder of the lease has written, or the
        checkpoint is further already.
        """
        ...

    async def fence(self, projection: str, lease: Lease) -> Checkpoint | None:
        """Refuse every earlier holder of the lease from now on, and return the checkpoint as it then stands.

        None, and nothing changed, if a later holder has written.
        """
        ...

    async def set_back(self, projection: str, lease: Lease, to: Checkpoint) -> bool:
        """Set the checkpoint to `to`, of the next generation, wherever it was; or return False.

        It is refused if the generation is another than the one before, or a later holder of the lease has
        written.
        """
        ...


class Answer(msgspec.Struct, frozen=True, gc=False):
    """A command's answer that left no event: kept so that its Idempotency-Key gets it again."""

    command_hash: str
    body: dict[str, Any]


class Answers(Protocol):
    """Answers without an event by (tenant, Idempotency-Key), kept for a day."""

    async def find(self, tenant: str, command_id: str) -> Answer | None:
        """Return the first answer kept under the key."""
        ...

    async def keep(self, tenant: str, command_id: str, answer: Answer) -> None:
        """Keep the answer, unless the key has one."""
        ...


class Turns(Protocol):
    """One command at a time for each alarm within this process."""

    def turn(self, stream: str) -> AbstractAsyncContextManager[None]:
        """Wait for the stream's turn, in order of arrival; bounded, raises Unavailable."""
        ...


class Presence(Protocol):
    """The processes that share the worker tasks, judged by the server's clock. Both raise Unavailable."""

    async def announce(self, process: str, leading: int, seconds: float) -> int | None:
        """Say that the process is there for so long and leads so many tasks.

        Returns the fewest that another process said it leads; None: there is no other.
        """
        ...

    async def leave(self, process: str) -> None:
        """Say that the process is gone."""
        ...


class Takeover(Leases, Protocol):
    """Leases that can also be taken from a living holder, for work that cannot wait for its end."""

    async def take_over(self, name: str, holder: str, seconds: float) -> Lease:
        """Take the lease, whoever holds it; the one who did learns so when it renews."""
        ...


class Shadow(msgspec.Struct, frozen=True, gc=False):
    """An alarm list that no reader sees yet, to be filled by a rebuild. No two have the same name."""

    name: str
    alarms: AlarmList


class AlarmRebuild(Protocol):
    """Builds the alarm list anew beside the live one, and puts it in its place together with its checkpoint.

    The two cannot be changed in one write. So a swap is first written down beside the checkpoint, which
    stands still from then on, and then carried out, by whoever comes first. At every moment the list that
    readers see holds all that the checkpoint says. Every method raises Unavailable.
    """

    async def begin(self) -> Shadow:
        """Return an empty list; no earlier one can be swapped in from now on, and what is left is dropped."""
        ...

    async def fill(self, shadow: Shadow, rows: Sequence[Alarm]) -> None:
        """Add rows to a shadow that has none of these alarms, as fast as that goes."""
        ...

    async def finish(self, shadow: Shadow) -> None:
        """Make a shadow that was filled ready to be read. It may take a while; call it before `swap`."""
        ...

    async def swap(self, shadow: Shadow, lease: Lease, to: Checkpoint) -> bool:
        """Put the shadow in the list's place and set the checkpoint to `to`, of the next generation.

        False, and nothing changed: another rebuild began or ended since, or a later holder of the lease
        has written the checkpoint. When this raises, the swap may be carried out yet: see `settle`.
        """
        ...

    async def settle(self) -> None:
        """Carry out the swap that was written down, if there is one. Call it before projecting."""
        ...


class Tokens(Protocol):
    """Tokens that somebody trusted has signed."""

    def verify(self, token: str, now: datetime) -> Caller:
        """Return who the token was made for. Raises Unauthenticated."""
        ...


class ApiKey(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A key that programs authenticate with. `digest`: the SHA-256 of its secret, which nobody keeps."""

    id: str
    tenant: str
    name: str
    roles: frozenset[Role]
    digest: bytes
    created_at: datetime
    created_by: str
    expires_at: datetime | None = None


class ApiKeys(Protocol):
    """The API keys of all tenants. Every method raises Unavailable."""

    async def add(self, key: ApiKey) -> None:
        """Keep a new key. Raises Refused: the tenant has too many."""
        ...

    async def find(self, key_id: str) -> ApiKey | None:
        """Return the key, whichever tenant's; None: there is none, or it was removed."""
        ...

    async def of_tenant(self, tenant: str) -> Sequence[ApiKey]:
        """Return all keys of a tenant, the oldest first."""
        ...

    async def remove(self, tenant: str, key_id: str) -> None:
        """Remove a key, if it is there."""
        ...


class RevocationLog(Protocol):
    """What was taken back: read by every process, told by the doorbell. Every method raises Unavailable."""

    async def add(self, revocation: Revocation) -> None:
        """Record it; its `at` is set by the database's clock."""
        ...

    async def read(self, since: datetime | None) -> Sequence[Revocation]:
        """Return those of this time or later, the earliest first; None: all that still matter."""
        ...

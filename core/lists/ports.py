"""The alarm list's ports, and their guarantees."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from core.alarm.alarm import Alarm, Severity, State
from core.alarm.events import Event
from core.coordination.ports import Checkpoint, Lease
from core.lists.query import AlarmPage, AlarmQuery


class AlarmCounts(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How many alarms there are, by state and by severity.

    `active` includes alarms out of sight. `stale` counts those in sight that were raised before a given
    moment; `oldest` names the first of these, the longest active first.
    """

    by_state: Mapping[State, int]
    by_severity: Mapping[Severity, int]
    active: int
    stale: int
    oldest: Sequence[Alarm]


class AlarmListWriter(Protocol):
    """Writes rows: one for each alarm, as its newest projected event left it."""

    async def write(self, rows: Mapping[str, Alarm]) -> None:
        """Replace each row, unless the stored one is at this position or a later one."""
        ...


class AlarmListReader(Protocol):
    """The read model `alarms`: one row for each alarm, as its newest projected event left it."""

    async def page(self, query: AlarmQuery) -> AlarmPage:
        """Return one page of the list, which may end before its limit if rows are large. Raises TooBroad.

        Only `next` tells whether there is more. A row that keeps its place in the order comes once, even if
        other rows move between two pages.
        """
        ...

    async def counts(self, query: AlarmQuery, stale_before: datetime, most: int) -> AlarmCounts:
        """Count the alarms that the query lists, and return at most `most` stale ones. Raises TooBroad."""
        ...

    def scan(self, tenant: str | None = None) -> AsyncIterator[Sequence[Alarm]]:
        """Yield all rows, or the tenant's, in order of id, in pages."""
        ...

    def shelved(self) -> AsyncIterator[Sequence[Alarm]]:
        """Yield all tenants' rows with a timed shelf, the earliest end first, in pages.

        A row written meanwhile may be left out or come twice; every other row comes once.
        """
        ...


class AlarmList(AlarmListWriter, AlarmListReader, Protocol):
    """The alarm list, for writing and reading."""


class AlarmHistory(Protocol):
    """The alarms as they stood at a position of the log; a position beyond the tail means the tail.

    Every answer is read from the log. Every method raises Unavailable.
    """

    async def position_at(self, time: datetime) -> int:
        """Return the position of the newest event recorded at or before the time, 0 if there is none."""
        ...

    async def newest(self, tenant: str, alarm_id: str, position: int) -> Event | None:
        """Return the newest event of the tenant's alarm at or before the position, None if there is none."""
        ...

    async def page(self, query: AlarmQuery, position: int) -> AlarmPage:
        """Return one page of the list as it stood. The cost grows with the alarms. Raises TooBroad."""
        ...


class Shadow(msgspec.Struct, frozen=True, gc=False):
    """An alarm list that a rebuild fills and no reader sees yet. Each has a unique name."""

    name: str
    alarms: AlarmList


class DecidedSwap(Protocol):
    """Completes the swap that a rebuild has recorded (see AlarmRebuild)."""

    async def settle(self) -> None:
        """Carry out the recorded swap, if there is one. Call this before projecting."""
        ...


class AlarmRebuild(DecidedSwap, Protocol):
    """Builds a new alarm list beside the live one, then swaps in the list and its checkpoint together.

    No single write can change both. So the rebuild first records the swap beside the checkpoint, which then
    stands still; the first process that finds the record carries it out. The list that readers see always
    holds everything up to the checkpoint. Every method raises Unavailable.
    """

    async def begin(self) -> Shadow:
        """Return an empty shadow; earlier shadows are dropped and can no longer be swapped in."""
        ...

    async def fill(self, shadow: Shadow, rows: Sequence[Alarm]) -> None:
        """Add rows as fast as possible to a shadow that has none of these alarms."""
        ...

    async def finish(self, shadow: Shadow) -> None:
        """Prepare a filled shadow for readers. This may take a while; call it before `swap`."""
        ...

    async def swap(self, shadow: Shadow, lease: Lease, to: Checkpoint) -> bool:
        """Replace the list by the shadow and set the checkpoint to `to`, of the next generation.

        Returns False, with nothing changed, if another rebuild began or ended since, or if a later holder of
        the lease has written the checkpoint. If this raises, the swap may happen later: see `settle`.
        """
        ...

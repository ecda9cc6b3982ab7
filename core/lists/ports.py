"""What the alarm list asks of the outside, and what it is promised."""

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

    `active`: also those out of sight. `stale`: those in sight that were raised before some moment; `oldest`:
    so many of them, the longest active first.
    """

    by_state: Mapping[State, int]
    by_severity: Mapping[Severity, int]
    active: int
    stale: int
    oldest: Sequence[Alarm]


class AlarmListWriter(Protocol):
    """Where rows are written: one for each alarm, as its newest projected event left it."""

    async def write(self, rows: Mapping[str, Alarm]) -> None:
        """Replace each row, unless it is at this position or a later one already."""
        ...


class AlarmListReader(Protocol):
    """The read model `alarms`: one row for each alarm, as its newest projected event left it."""

    async def page(self, query: AlarmQuery) -> AlarmPage:
        """Return one page of the list. Raises TooBroad.

        A row that stays where it is in the order comes once, whatever others do between two pages.
        """
        ...

    async def counts(self, query: AlarmQuery, stale_before: datetime, most: int) -> AlarmCounts:
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


class AlarmList(AlarmListWriter, AlarmListReader, Protocol):
    """The alarm list for those that write it and read it."""


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


class Shadow(msgspec.Struct, frozen=True, gc=False):
    """An alarm list that no reader sees yet, to be filled by a rebuild. No two have the same name."""

    name: str
    alarms: AlarmList


class DecidedSwap(Protocol):
    """The swap that a rebuild has written down and perhaps not carried out: see AlarmRebuild."""

    async def settle(self) -> None:
        """Carry out the swap that was written down, if there is one. Call it before projecting."""
        ...


class AlarmRebuild(DecidedSwap, Protocol):
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

"""The alarm list as a projection."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from core.alarm.events import Event
from core.application.ports import ReadModelNames
from core.coordination.ports import Checkpoint, Checkpoints, Lease
from core.lists.ports import AlarmList, AlarmRebuild
from core.log.ports import StreamReader
from core.log.snapshots import rows_after

PROJECTION = "alarms"
PROJECTOR_LEASE = "projector"
PACE_SECONDS = 0.05
"""How soon a batch follows one that was not full: each takes two majority writes, which delay commands."""


@dataclass(frozen=True, slots=True)
class AlarmModel:
    """The alarm list, its checkpoint and its rebuild."""

    alarms: AlarmList
    checkpoints: Checkpoints
    rebuild: AlarmRebuild

    names: ClassVar[ReadModelNames] = ReadModelNames(PROJECTION, PROJECTOR_LEASE)

    @property
    def pace(self) -> float:
        """How many seconds after the start of a batch that is not full the next one may start."""
        return PACE_SECONDS

    async def write(self, log: StreamReader, events: Sequence[Event], generation: int) -> None:  # noqa: ARG002
        """Write the newest row of each alarm, guarded by position."""
        await self.alarms.write(await rows_after(log, events))

    async def settle(self) -> None:
        """Carry out a swap that was decided."""
        await self.rebuild.settle()

    async def start_over(self, lease: Lease, at: Checkpoint) -> None:
        """Put an empty list in place."""
        empty = await self.rebuild.begin()
        await self.rebuild.finish(empty)
        await self.rebuild.swap(empty, lease, Checkpoint(0, "", at.generation + 1))

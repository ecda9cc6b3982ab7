"""The alarm list as a projection."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from core.alarm.alarm import Alarm
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
    _taken: dict[str, Alarm] = field(default_factory=dict, init=False, compare=False)

    names: ClassVar[ReadModelNames] = ReadModelNames(PROJECTION, PROJECTOR_LEASE)

    async def take(self, log: StreamReader, events: Sequence[Event], generation: int) -> None:  # noqa: ARG002
        """Take the newest row of each alarm. Raises UnknownEvent, Unavailable."""
        self._taken.update(await rows_after(log, events))

    async def store(self) -> float:
        """Write the rows that were taken, guarded by position; return the pace. Raises Unavailable."""
        await self.alarms.write(self._taken)
        self._taken.clear()
        return PACE_SECONDS

    async def settle(self) -> None:
        """Forget rows that were not written, and carry out a swap that was decided. Raises Unavailable."""
        self._taken.clear()
        await self.rebuild.settle()

    async def start_over(self, lease: Lease, at: Checkpoint) -> None:
        """Put an empty list in place."""
        empty = await self.rebuild.begin()
        await self.rebuild.finish(empty)
        await self.rebuild.swap(empty, lease, Checkpoint(0, "", at.generation + 1))

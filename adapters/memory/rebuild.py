"""Building the alarm list anew in memory, for tests."""

from collections.abc import Sequence
from itertools import count

from adapters.memory.alarms import MemoryAlarmList
from adapters.memory.checkpoints import KeptCheckpoint, MemoryCheckpoints
from core.alarm.alarm import Alarm
from core.coordination.ports import Checkpoint, Lease
from core.lists.ports import Shadow

ALARMS = "alarms"


class MemoryAlarmRebuild:
    """The rebuild of `alarms` (see core.lists.ports.AlarmRebuild): the same single writes as on MongoDB."""

    def __init__(self, alarms: MemoryAlarmList, checkpoints: MemoryCheckpoints) -> None:
        self._alarms = alarms
        self._checkpoints = checkpoints
        self._shadows: dict[str, MemoryAlarmList] = {}
        self._names = (f"{ALARMS}_shadow_{number}" for number in count(1))

    async def begin(self) -> Shadow:
        """Return an empty list; no earlier one can be swapped in any more."""
        await self.settle()
        name = next(self._names)
        self._checkpoint().shadow = name
        self._shadows = {name: MemoryAlarmList()}
        return Shadow(name, self._shadows[name])

    async def fill(self, shadow: Shadow, rows: Sequence[Alarm]) -> None:
        """Add rows to the shadow."""
        await shadow.alarms.write({row.id: row for row in rows})

    async def finish(self, shadow: Shadow) -> None:
        """Do nothing: what is in memory can be read."""

    async def swap(self, shadow: Shadow, lease: Lease, to: Checkpoint) -> bool:
        """Put the shadow in the list's place and set the checkpoint to `to`, of the next generation."""
        kept = self._checkpoint()
        if (
            kept.checkpoint.generation != to.generation - 1
            or kept.token > lease.token
            or kept.shadow != shadow.name
            or kept.to not in (None, to)
        ):
            return False
        kept.to, kept.token = to, lease.token
        await self.settle()
        return True

    async def settle(self) -> None:
        """Carry out the swap that was written down, if there is one."""
        kept = self._checkpoint()
        shadow, to = kept.shadow, kept.to
        if shadow is None or to is None:
            return
        await self._put_in_place(shadow)
        if kept.shadow == shadow:
            kept.checkpoint, kept.shadow, kept.to = to, None, None

    async def _put_in_place(self, name: str) -> None:
        shadow = self._shadows.pop(name, None)
        if shadow is not None:
            # The list keeps its object: readers hold on to it as they do to a collection's name.
            self._alarms.rows = shadow.rows

    def _checkpoint(self) -> KeptCheckpoint:
        return self._checkpoints.kept.setdefault(ALARMS, KeptCheckpoint())

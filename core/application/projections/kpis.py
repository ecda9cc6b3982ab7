"""The key figures as a projection."""

from collections.abc import Sequence
from contextlib import suppress
from typing import ClassVar

from core.alarm.events import Event
from core.coordination.ports import Checkpoint, Checkpoints, Lease
from core.errors import Unavailable
from core.kpi.ports import KpiBuckets
from core.kpi.projecting import Keeper
from core.log.ports import StreamReader

PROJECTION = "kpis"
KPI_LEASE = "kpi projector"
PACE_SECONDS = 1.0
"""How soon a batch follows one that was not full: each writes the bucket of the present whole."""
PACE_ALARMS = 400
"""For as many alarms more in the buckets that were written, the next batch waits for as much longer."""


class KpiModel:
    """The buckets and how far they are. What is read are those of the checkpoint's generation."""

    name: ClassVar[str] = PROJECTION
    lease: ClassVar[str] = KPI_LEASE

    def __init__(self, buckets: KpiBuckets, checkpoints: Checkpoints) -> None:
        self.buckets = buckets
        self.checkpoints = checkpoints
        self._keeper = Keeper(buckets)

    @property
    def pace(self) -> float:
        """How many seconds a batch that is not full waits for the next."""
        return PACE_SECONDS * (1 + self._keeper.alarms // PACE_ALARMS)

    async def write(self, log: StreamReader, events: Sequence[Event], generation: int) -> None:  # noqa: ARG002
        """Bring on the buckets that the events change. Raises UnknownEvent, Unavailable."""
        await self._keeper.write(generation, events)

    async def settle(self) -> None:
        """Remove what earlier generations have left. The next one may be under way: it is left alone."""
        self._keeper.forget()
        generation = (await self.checkpoints.load(self.name)).generation
        # There is time for that; what follows the log is not to wait for it.
        with suppress(Unavailable):
            await self.buckets.drop(generation)

    async def start_over(self, lease: Lease, at: Checkpoint) -> None:
        """Begin at the log's beginning, with a generation that has no buckets."""
        await self.buckets.clear(at.generation + 1)
        await self.checkpoints.set_back(self.name, lease, Checkpoint(0, "", at.generation + 1))

"""The key figures as a projection."""

from collections.abc import Sequence
from contextlib import suppress
from typing import ClassVar

from core.alarm.events import Event
from core.application.ports import ReadModelNames
from core.coordination.ports import Checkpoint, Checkpoints, Lease
from core.errors import Unavailable
from core.kpi.bucket_keeper import BucketKeeper
from core.kpi.ports import KpiBuckets
from core.log.ports import StreamReader

PROJECTION = "kpis"
KPI_LEASE = "kpi projector"
PACE_SECONDS = 1.0
"""How soon a batch follows one that was not full: each writes the present bucket whole."""
PACE_ALARMS = 400
"""The pause grows by PACE_SECONDS for every so many alarms in the buckets written last."""


class KpiModel:
    """The buckets and their checkpoint. Readers see the buckets of the checkpoint's generation."""

    names: ClassVar[ReadModelNames] = ReadModelNames(PROJECTION, KPI_LEASE)

    def __init__(self, buckets: KpiBuckets, checkpoints: Checkpoints) -> None:
        self.buckets = buckets
        self.checkpoints = checkpoints
        self._keeper = BucketKeeper(buckets)

    async def take(self, log: StreamReader, events: Sequence[Event], generation: int) -> None:  # noqa: ARG002
        """Count the events in memory. Raises UnknownEvent, Unavailable."""
        await self._keeper.take(generation, events)

    async def store(self) -> float:
        """Write the buckets that have changed; return the pace, slower for large ones. Raises Unavailable."""
        await self._keeper.store()
        return PACE_SECONDS * (1 + self._keeper.alarms // PACE_ALARMS)

    async def settle(self) -> None:
        """Remove earlier generations, but not the next: a replay may be filling it."""
        self._keeper.forget()
        generation = (await self.checkpoints.load(PROJECTION)).generation
        # Removal can wait for the next `settle`; the projector cannot.
        with suppress(Unavailable):
            await self.buckets.drop(generation)

    async def start_over(self, lease: Lease, at: Checkpoint) -> None:
        """Begin at the log's beginning, with a generation that has no buckets."""
        await self.buckets.clear(at.generation + 1)
        await self.checkpoints.set_back(PROJECTION, lease, Checkpoint(0, "", at.generation + 1))

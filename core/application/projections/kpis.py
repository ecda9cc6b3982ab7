"""The key figures as a projection: kept up under a lease, and built anew beside what is read."""

from collections.abc import Sequence
from contextlib import suppress
from typing import ClassVar

from core.alarm.events import Event
from core.application.replay.alarms import (
    NEAR_EVENTS,
    REPLAY_SECONDS,
    ROUNDS,
    SWAPS,
    Keeping,
    Kept,
    Progress,
    kept_lease,
    let_go,
    silent,
)
from core.application.replay.reading import check_gapless, pages, whole
from core.application.workers.leader import LEASE_SECONDS
from core.coordination.ports import Checkpoint, Checkpoints, Lease, Takeover
from core.errors import StartupRefused, Unavailable
from core.kpi.ports import KpiBuckets
from core.kpi.projecting import Keeper
from core.log.ports import EventReader, StreamReader

PROJECTION = "kpis"
KPI_LEASE = "kpi projector"
REPLAY_LEASE = "replay:kpis"
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


async def replay_kpis(
    log: EventReader, model: KpiModel, leases: Takeover, holder: str, progress: Progress = silent
) -> int:
    """Fill the next generation from the whole log and make it the one that is read; return up to where.

    Raises:
        StartupRefused: another replay is running, or took over.
        LogMismatch: the log has a gap.
        UnknownEvent, Unavailable.
    """
    async with kept_lease(leases, REPLAY_LEASE, holder, REPLAY_SECONDS) as kept:
        replay = _Replay(log, model, progress, await model.checkpoints.load(PROJECTION))
        # What a replay that was killed has left of this generation.
        await model.buckets.clear(replay.at.generation)
        for _ in range(ROUNDS):
            await replay.catch_up(kept)
            if (await log.tail()).position - replay.at.position <= NEAR_EVENTS:
                break
        for _ in range(SWAPS):
            lease = await leases.take_over(KPI_LEASE, f"{holder}:replay", LEASE_SECONDS)
            try:
                if await replay.swap(lease, Keeping(leases, lease, LEASE_SECONDS, LEASE_SECONDS / 4)):
                    return replay.at.position
            finally:
                await let_go(leases, lease)
    raise StartupRefused("others kept changing the checkpoint: is another replay running?")


class _Replay:
    """How far the next generation is."""

    def __init__(self, log: EventReader, model: KpiModel, progress: Progress, live: Checkpoint) -> None:
        self._log = log
        self._model = model
        self._progress = progress
        self._keeper = Keeper(model.buckets)
        self.at = Checkpoint(0, "", live.generation + 1)

    async def catch_up(self, kept: Kept) -> None:
        """Count up to the log's end as it is now. Raises StartupRefused: it is another's generation now."""
        until = (await self._log.tail()).position
        async for events in pages(whole(self._log), self.at.position, until):
            check_gapless(events, self.at.position)
            await self._keeper.write(self.at.generation, events)
            self.at = Checkpoint(events[-1].position, events[-1].event_id, self.at.generation)
            self._progress("counting events", self.at.position, until)
            await kept()
            if (await self._model.checkpoints.load(PROJECTION)).generation >= self.at.generation:
                raise StartupRefused("the key figures were begun anew meanwhile: start again")

    async def swap(self, lease: Lease, kept: Kept) -> bool:
        """Let the next generation be the one that is read, once it has all that was shown."""
        # It stands still from here on: the figures must not fall back behind what was shown.
        if await self._model.checkpoints.fence(PROJECTION, lease) is None:
            return False
        await self.catch_up(kept)
        if await self._model.checkpoints.set_back(PROJECTION, lease, self.at):
            return True
        # It may have been this one, whose answer was lost.
        return await self._model.checkpoints.load(PROJECTION) == self.at

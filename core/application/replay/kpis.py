"""Counting the key figures anew from the log, beside those that are read (`tocsin replay kpis`)."""

from core.application.projections.kpis import KPI_LEASE, PROJECTION, KpiModel
from core.application.replay.alarms import CATCH_UP_ROUNDS, NEAR_EVENTS, SWAP_TRIES
from core.application.replay.keeping import Keeping, Kept, kept_lease, let_go
from core.application.replay.progress import Progress, silent
from core.application.replay.reading import check_gapless, pages, whole
from core.application.workers.leader import LEASE_SECONDS
from core.coordination.ports import Checkpoint, Lease, Takeover
from core.errors import StartupRefused
from core.kpi.projecting import Keeper
from core.log.ports import EventReader

REPLAY_LEASE = "replay:kpis"


async def replay_kpis(
    log: EventReader, model: KpiModel, leases: Takeover, holder: str, progress: Progress = silent
) -> int:
    """Fill the next generation from the whole log and make it the one that is read; return up to where.

    Raises:
        StartupRefused: another replay is running, or took over.
        LogMismatch: the log has a gap.
        UnknownEvent, Unavailable.
    """
    async with kept_lease(leases, REPLAY_LEASE, holder) as kept:
        replay = _Replay(log, model, progress, await model.checkpoints.load(PROJECTION))
        # What a replay that was killed has left of this generation.
        await model.buckets.clear(replay.at.generation)
        for _ in range(CATCH_UP_ROUNDS):
            await replay.catch_up(kept)
            if (await log.tail()).position - replay.at.position <= NEAR_EVENTS:
                break
        for _ in range(SWAP_TRIES):
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

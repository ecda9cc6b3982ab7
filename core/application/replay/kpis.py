"""Recounts the key figures from the log, beside those that clients read (`tocsin replay kpis`)."""

from core.application.projections.kpis import KPI_LEASE, PROJECTION, KpiModel
from core.application.replay.kept_lease import Renew, kept_lease
from core.application.replay.log_pages import check_gapless, pages, with_snapshots
from core.application.replay.progress import Progress, silent
from core.application.replay.swapping import CATCH_UP_ROUNDS, NEAR_EVENTS, swap_in
from core.coordination.ports import Checkpoint, Lease, Takeover
from core.errors import StartupRefused
from core.kpi.bucket_keeper import BucketKeeper
from core.log.ports import EventReader

REPLAY_LEASE = "replay:kpis"


async def replay_kpis(
    log: EventReader, model: KpiModel, leases: Takeover, holder: str, progress: Progress = silent
) -> int:
    """Fill the next generation from the whole log, make it the current one, and return its position.

    Raises:
        StartupRefused: another replay is running, or took over.
        LogMismatch: the log has a gap.
        UnknownEvent, Unavailable.
    """
    async with kept_lease(leases, REPLAY_LEASE, holder) as renew:
        replay = _Replay(log, model, progress, await model.checkpoints.load(PROJECTION))
        # A killed replay may have left buckets of this generation.
        await model.buckets.clear(replay.at.generation)
        for _ in range(CATCH_UP_ROUNDS):
            await replay.catch_up(renew)
            if (await log.tail()).position - replay.at.position <= NEAR_EVENTS:
                break
        await swap_in(leases, KPI_LEASE, holder, replay.swap)
    return replay.at.position


class _Replay:
    """The next generation, and how far it is."""

    def __init__(self, log: EventReader, model: KpiModel, progress: Progress, live: Checkpoint) -> None:
        self._log = log
        self._model = model
        self._progress = progress
        self._keeper = BucketKeeper(model.buckets)
        self.at = Checkpoint(0, "", live.generation + 1)

    async def catch_up(self, renew: Renew) -> None:
        """Count up to the log's present end. Raises StartupRefused if another process took the generation."""
        until = (await self._log.tail()).position
        async for events in pages(with_snapshots(self._log), self.at.position, until):
            check_gapless(events, self.at.position)
            await self._keeper.write(self.at.generation, events)
            self.at = Checkpoint(events[-1].position, events[-1].event_id, self.at.generation)
            self._progress("counting events", self.at.position, until)
            await renew()
            if (await self._model.checkpoints.load(PROJECTION)).generation >= self.at.generation:
                raise StartupRefused("the key figures were started over meanwhile: start the replay again")

    async def swap(self, lease: Lease, renew: Renew) -> bool:
        """Make the next generation the current one, once it has all that the current one shows."""
        # Stop the projector: the figures must not fall back behind those that were shown.
        if await self._model.checkpoints.fence(PROJECTION, lease) is None:
            return False
        await self.catch_up(renew)
        if await self._model.checkpoints.set_back(PROJECTION, lease, self.at):
            return True
        # This call may have set it, and only the answer was lost.
        return await self._model.checkpoints.load(PROJECTION) == self.at

"""Rebuilds the alarm list from the log while clients read and write (`tocsin replay alarms`)."""

from core.application.checkpoints import belongs
from core.application.projections.alarms import PROJECTION, PROJECTOR_LEASE, AlarmModel
from core.application.replay.bounded_tasks import BoundedTasks
from core.application.replay.kept_lease import Renew, kept_lease
from core.application.replay.progress import Progress, silent
from core.application.replay.row_sources import Folding, Newest, RowSource
from core.application.replay.swapping import CATCH_UP_ROUNDS, NEAR_EVENTS, swap_in
from core.coordination.ports import Checkpoint, Lease, Takeover
from core.lists.ports import Shadow
from core.log.ports import LogPositions, ReplayReader

REPLAY_LEASE = "replay:alarms"
FILLS_AT_ONCE = 3
"""How many writes of rows are under way at once: each waits for the journal more than for the processor."""


async def replay_alarms(  # noqa: PLR0913 (what it reads, what it writes, and how)
    log: ReplayReader,
    model: AlarmModel,
    leases: Takeover,
    holder: str,
    progress: Progress = silent,
    *,
    newest: bool = False,
) -> int:
    """Fill a shadow of the alarm list, swap it in, and return its position.

    `newest`: take the rows from the newest snapshots, instead of folding all events. Readers see one list or
    the other. A killed replay leaves a shadow that no reader sees and the next replay drops.

    Raises:
        StartupRefused: another replay is running, or took over.
        LogMismatch: the log has a gap.
        UnknownEvent: an event was written by a newer version.
        Unavailable: MongoDB cannot be reached; an unfinished shadow does no harm.
    """
    source = Newest(log) if newest else Folding(log)
    async with kept_lease(leases, REPLAY_LEASE, holder) as renew:
        replay = _Replay(log, model, source, progress)
        await replay.fill(await model.rebuild.begin(), renew)
        for _ in range(CATCH_UP_ROUNDS):
            if (await log.tail()).position - source.position <= NEAR_EVENTS:
                break
            await replay.catch_up(renew)
        await swap_in(leases, PROJECTOR_LEASE, holder, replay.swap)
    return source.position


class _Replay:
    """The shadow, and the source of its rows."""

    shadow: Shadow

    def __init__(self, log: LogPositions, model: AlarmModel, source: RowSource, progress: Progress) -> None:
        self._log = log
        self._model = model
        self._source = source
        self._progress = progress

    async def fill(self, shadow: Shadow, renew: Renew) -> None:
        """Fill the shadow up to the log's present end. Nothing reads it yet, so its indexes come last."""
        self.shadow, written = shadow, 0
        until = (await self._log.tail()).position
        async with BoundedTasks(FILLS_AT_ONCE) as filling:
            async for rows in self._source.rows(until, self._progress):
                if rows:
                    await filling.start(self._model.rebuild.fill(shadow, rows))
                    written += len(rows)
                    self._progress("writing rows", written, 0)
                await renew()
        self._progress("indexing rows", written, 0)
        await self._model.rebuild.finish(shadow)

    async def catch_up(self, renew: Renew, at_least: int = 0) -> None:
        """Bring the shadow up to the log's present end, and at least to the position."""
        until = max((await self._log.tail()).position, at_least)
        async for rows in self._source.rows(until, self._progress):
            if rows:
                await self.shadow.alarms.write({row.id: row for row in rows})
            await renew()

    async def swap(self, lease: Lease, renew: Renew) -> bool:
        """Stop the projector, bring the shadow up to its checkpoint at least, and swap it in."""
        checkpoint = await self._model.checkpoints.fence(PROJECTION, lease)
        if checkpoint is None:
            return False
        # Readers must not see the list fall back, unless the old list was of another log.
        same = await belongs(self._log, checkpoint)
        await self.catch_up(renew, checkpoint.position if same else 0)
        to = Checkpoint(self._source.position, self._source.event_id, checkpoint.generation + 1)
        return await self._model.rebuild.swap(self.shadow, lease, to)

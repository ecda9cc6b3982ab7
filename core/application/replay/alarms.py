"""Building the alarm list anew from the log while it is read and written (`tocsin replay alarms`)."""

from core.application.checkpoints import belongs
from core.application.projections.alarms import PROJECTION, PROJECTOR_LEASE, AlarmModel
from core.application.replay.keeping import Keeping, Kept, kept_lease, let_go
from core.application.replay.progress import Progress, silent
from core.application.replay.sliding import Sliding
from core.application.replay.ways import Folding, Newest, Way
from core.application.workers.leader import LEASE_SECONDS
from core.coordination.ports import Checkpoint, Takeover
from core.errors import StartupRefused
from core.lists.ports import Shadow
from core.log.ports import LogPositions, ReplayReader

REPLAY_LEASE = "replay:alarms"
FILLS_AT_ONCE = 3
"""How many writes of rows are under way at once: each waits for the journal more than for the processor."""
NEAR_EVENTS = 2_000
"""How far behind the log's end the projector is asked to stand still for the rest."""
CATCH_UP_ROUNDS = 20
"""How often the shadow is brought up to a log that goes on growing, before the projector is stopped."""
SWAP_TRIES = 3
"""How often the shadow is swapped in while others change the checkpoint."""


async def replay_alarms(  # noqa: PLR0913 (what it reads, what it writes, and how)
    log: ReplayReader,
    model: AlarmModel,
    leases: Takeover,
    holder: str,
    progress: Progress = silent,
    *,
    newest: bool = False,
) -> int:
    """Bring the rows into a shadow and put it in the alarm list's place; return up to which position.

    `newest`: take them from the newest snapshots, and not from the fold of all events. Readers see one
    list or the other. Killed half-way, it leaves a shadow that no reader sees and the next replay drops.

    Raises:
        StartupRefused: another replay is running, or took over.
        LogMismatch: the log has a gap.
        UnknownEvent: an event was written by a newer version.
        Unavailable: MongoDB cannot be reached; what was begun is of no consequence.
    """
    way = Newest(log) if newest else Folding(log)
    async with kept_lease(leases, REPLAY_LEASE, holder) as kept:
        replay = _Replay(log, model, leases, way, progress)
        await replay.fill(await model.rebuild.begin(), kept)
        for _ in range(CATCH_UP_ROUNDS):
            if (await log.tail()).position - way.position <= NEAR_EVENTS:
                break
            await replay.catch_up(kept)
        for _ in range(SWAP_TRIES):
            if await replay.swap(holder):
                return way.position
    raise StartupRefused("others kept changing the checkpoint: is another replay running?")


class _Replay:
    """The shadow, and the way its rows come in."""

    shadow: Shadow

    def __init__(
        self, log: LogPositions, model: AlarmModel, leases: Takeover, way: Way, progress: Progress
    ) -> None:
        self._log = log
        self._model = model
        self._leases = leases
        self._way = way
        self._progress = progress

    async def fill(self, shadow: Shadow, kept: Kept) -> None:
        """Bring the shadow to where the log ends now. Nothing reads it yet, so its indexes come last."""
        self.shadow, written = shadow, 0
        until = (await self._log.tail()).position
        async with Sliding(FILLS_AT_ONCE) as filling:
            async for rows in self._way.rows(until, self._progress):
                if rows:
                    await filling.start(self._model.rebuild.fill(shadow, rows))
                    written += len(rows)
                    self._progress("writing rows", written, 0)
                await kept()
        self._progress("indexing rows", written, 0)
        await self._model.rebuild.finish(shadow)

    async def catch_up(self, kept: Kept, at_least: int = 0) -> None:
        """Bring the shadow up to the log's end as it is now, and to the position at least."""
        until = max((await self._log.tail()).position, at_least)
        async for rows in self._way.rows(until, self._progress):
            if rows:
                await self.shadow.alarms.write({row.id: row for row in rows})
            await kept()

    async def swap(self, holder: str) -> bool:
        """Stop the projector, bring the shadow up to where it is at least, and put it in place."""
        lease = await self._leases.take_over(PROJECTOR_LEASE, f"{holder}:replay", LEASE_SECONDS)
        try:
            checkpoint = await self._model.checkpoints.fence(PROJECTION, lease)
            if checkpoint is None:
                return False
            # The list must not fall back behind what its readers were told; unless that was another log.
            same = await belongs(self._log, checkpoint)
            kept = Keeping(self._leases, lease, LEASE_SECONDS, LEASE_SECONDS / 4)
            await self.catch_up(kept, checkpoint.position if same else 0)
            to = Checkpoint(self._way.position, self._way.event_id, checkpoint.generation + 1)
            return await self._model.rebuild.swap(self.shadow, lease, to)
        finally:
            await let_go(self._leases, lease)

"""The key figures as a projection: kept up under a lease, and built anew beside what is read."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from core.errors import StartupRefused
from core.events import Event
from core.kpi.ports import KpiBuckets
from core.kpi.projecting import brought_on
from core.ports import Checkpoint, Checkpoints, EventLog, Lease, Takeover
from entrypoints.leader import LEASE_SECONDS
from entrypoints.reading import check_gapless, pages, whole
from entrypoints.replay import NEAR_EVENTS, REPLAY_SECONDS, ROUNDS, Progress, kept_lease, let_go, silent

PROJECTION = "kpis"
KPI_LEASE = "kpi projector"
REPLAY_LEASE = "replay:kpis"
PACE_SECONDS = 1.0
"""How soon a batch follows one that was not full: each writes the bucket of the present whole."""


@dataclass(frozen=True, slots=True)
class KpiModel:
    """The buckets and how far they are. What is read are those of the checkpoint's generation."""

    buckets: KpiBuckets
    checkpoints: Checkpoints

    name: ClassVar[str] = PROJECTION
    lease: ClassVar[str] = KPI_LEASE

    @property
    def pace(self) -> float:
        """How many seconds a batch that is not full waits for the next."""
        return PACE_SECONDS

    async def write(self, log: EventLog, events: Sequence[Event], generation: int) -> None:  # noqa: ARG002
        """Bring on the buckets that the events change. Raises UnknownEvent, Unavailable."""
        changed = await brought_on(events, partial(self.buckets.load, generation))
        await self.buckets.write(generation, changed)

    async def settle(self) -> None:
        """Remove what another generation has left: nobody reads it."""
        await self.buckets.drop((await self.checkpoints.load(self.name)).generation)

    async def start_over(self, lease: Lease, at: Checkpoint) -> None:
        """Begin at the log's beginning, with a generation that has no buckets."""
        await self.checkpoints.set_back(self.name, lease, Checkpoint(0, "", at.generation + 1))


async def replay_kpis(
    log: EventLog, model: KpiModel, leases: Takeover, holder: str, progress: Progress = silent
) -> int:
    """Fill the next generation from the whole log and make it the one that is read; return up to where.

    Raises:
        StartupRefused: another replay is running, or took over.
        LogMismatch: the log has a gap.
        UnknownEvent, Unavailable.
    """
    async with kept_lease(leases, REPLAY_LEASE, holder, REPLAY_SECONDS) as kept:
        before = await model.checkpoints.load(PROJECTION)
        generation = before.generation + 1
        # What a replay that was killed has left of this generation.
        await model.buckets.drop(before.generation)
        at = Checkpoint(0, "", generation)

        async def catch_up(at: Checkpoint) -> Checkpoint:
            until = (await log.tail()).position
            async for events in pages(whole(log), at.position, until):
                check_gapless(events, at.position)
                await model.write(log, events, generation)
                at = Checkpoint(events[-1].position, events[-1].event_id, generation)
                progress("counting events", at.position, until)
                await kept()
            return at

        for _ in range(ROUNDS):
            at = await catch_up(at)
            if (await log.tail()).position - at.position <= NEAR_EVENTS:
                break
        lease = await leases.take_over(KPI_LEASE, f"{holder}:replay", LEASE_SECONDS)
        try:
            # It stands still from here on: the figures must not fall back behind what was shown.
            if await model.checkpoints.fence(PROJECTION, lease) is not None:
                at = await catch_up(at)
                if await model.checkpoints.set_back(PROJECTION, lease, at):
                    return at.position
        finally:
            await let_go(leases, lease)
    raise StartupRefused("others changed the checkpoint meanwhile: is another replay running?")

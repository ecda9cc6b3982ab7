"""Building the alarm list anew from the log while it is read and written (`tocsin replay alarms`)."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import islice

from core.errors import LogMismatch, StartupRefused, Unavailable
from core.events import Event
from core.ports import Checkpoint, EventLog, Lease, Shadow, Takeover
from core.projection import Fold
from entrypoints.leader import LEASE_SECONDS
from entrypoints.worker import PROJECTION, PROJECTOR_LEASE, AlarmModel

REPLAY_LEASE = "replay:alarms"
REPLAY_SECONDS = 30.0
"""For how long a replay that was killed keeps others from starting."""
PAGE_EVENTS = 2_000
ROWS = 1_000
NEAR_EVENTS = 2_000
"""How far behind the log's end the projector is asked to stand still for the rest."""
ROUNDS = 20
"""How often the shadow is brought up to a log that goes on growing, before the projector is stopped."""
SWAPS = 3

Progress = Callable[[int, int], None]
"""Is told how many events are done, and out of how many."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """A finished replay: up to which position, of how many alarms.

    `differing`: how many events have a snapshot that is not their fold. The list has the fold.
    """

    position: int
    alarms: int
    differing: int


def silent(_done: int, _total: int) -> None:
    """Tell nobody."""


async def replay_alarms(
    log: EventLog, model: AlarmModel, leases: Takeover, holder: str, progress: Progress = silent
) -> Replayed:
    """Fold the whole log into a shadow and put it in the alarm list's place; readers see one or the other.

    Killed half-way, it leaves a shadow that no reader sees and the next replay drops.

    Raises:
        StartupRefused: another replay is running, or took over.
        LogMismatch: the log has a gap.
        UnknownEvent: an event was written by a newer version.
        Unavailable: MongoDB cannot be reached; what was begun is of no consequence.
    """
    async with _held(leases, holder) as lease:
        replay = _Replay(log, model, leases, progress)
        replay.shadow = await model.rebuild.begin()
        for _ in range(ROUNDS):
            total = await replay.catch_up(lease, REPLAY_SECONDS)
            if (await log.tail()).position - total <= NEAR_EVENTS:
                break
        for _ in range(SWAPS):
            if await replay.swap(holder):
                return Replayed(replay.fold.position, len(replay.fold.alarms), replay.differing)
    raise StartupRefused("others kept changing the checkpoint: is another replay running?")


async def read_all(log: EventLog, after: int, until: int) -> AsyncIterator[Sequence[Event]]:
    """Yield the events after `after` up to `until`, in pages; the next is read while one is worked on.

    Raises:
        LogMismatch: the log ends before `until`.
    """
    if after >= until:
        return
    reading = asyncio.ensure_future(log.read(after, PAGE_EVENTS))
    try:
        while after < until:
            events = (await reading).events
            if not events:
                raise LogMismatch(f"the log ends at position {after}, before {until}")
            after = events[-1].position
            if after < until:
                reading = asyncio.ensure_future(log.read(after, PAGE_EVENTS))
            yield events if after <= until else [event for event in events if event.position <= until]
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


class _Replay:
    """The fold so far and the shadow that follows it."""

    shadow: Shadow

    def __init__(self, log: EventLog, model: AlarmModel, leases: Takeover, progress: Progress) -> None:
        self._log = log
        self._model = model
        self._leases = leases
        self._progress = progress
        self.fold = Fold()
        self.differing = 0

    async def catch_up(self, lease: Lease, seconds: float, at_least: int = 0) -> int:
        """Bring the shadow up to the log's end as it is now, keeping the lease; return that position."""
        total = max((await self._log.tail()).position, at_least)
        async for events in read_all(self._log, self.fold.position, total):
            self._add(events)
            self._progress(self.fold.position, total)
            await self._keep(lease, seconds)
        waiting = iter(self.fold.changed().items())
        while rows := dict(islice(waiting, ROWS)):
            await self.shadow.alarms.write(rows)
            await self._keep(lease, seconds)
        return total

    async def swap(self, holder: str) -> bool:
        """Stop the projector, bring the shadow up to where it is at least, and put it in place."""
        lease = await self._leases.take_over(PROJECTOR_LEASE, f"{holder}:replay", LEASE_SECONDS)
        try:
            checkpoint = await self._model.checkpoints.fence(PROJECTION, lease)
            if checkpoint is None:
                return False
            # The list must not fall back behind what its readers were told; unless that was another log.
            stamp = await self._log.stamp(checkpoint.position)
            same = stamp is not None and stamp.event_id == checkpoint.event_id
            await self.catch_up(lease, LEASE_SECONDS, checkpoint.position if same else 0)
            to = Checkpoint(self.fold.position, self.fold.event_id, checkpoint.generation + 1)
            return await self._model.rebuild.swap(self.shadow, lease, to)
        finally:
            await _let_go(self._leases, lease)

    def _add(self, events: Sequence[Event]) -> None:
        for event in events:
            found = self.fold.add(event)
            gap = next((finding for finding in found if finding.kind == "position"), None)
            if gap is not None:
                raise LogMismatch(f"event {gap.position} {gap.detail}: the log has a gap")
            self.differing += bool(found)

    async def _keep(self, lease: Lease, seconds: float) -> None:
        if not await self._leases.renew(lease, seconds):
            raise StartupRefused(f"the lease {lease.name} was lost to another process")


@asynccontextmanager
async def _held(leases: Takeover, holder: str) -> AsyncIterator[Lease]:
    lease = await leases.acquire(REPLAY_LEASE, holder, REPLAY_SECONDS)
    if lease is None:
        raise StartupRefused("another replay of the alarm list is running")
    try:
        yield lease
    finally:
        await _let_go(leases, lease)


async def _let_go(leases: Takeover, lease: Lease) -> None:
    # It runs out by itself too; what the replay came to is more important to tell.
    with suppress(Unavailable):
        await leases.release(lease)

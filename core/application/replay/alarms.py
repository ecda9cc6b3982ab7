"""Building the alarm list anew from the log while it is read and written (`tocsin replay alarms`)."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import islice
from typing import Protocol

from core.alarm.alarm import Alarm
from core.application.projections.projector import PROJECTION, PROJECTOR_LEASE, AlarmModel
from core.application.replay.reading import check_gapless, pages, whole
from core.application.replay.sliding import Sliding
from core.application.workers.leader import LEASE_SECONDS
from core.coordination.ports import Checkpoint, Lease, Takeover
from core.errors import StartupRefused, Unavailable
from core.lists.ports import Shadow
from core.log.ports import EventReader, LogPositions, ReplayReader
from core.log.projection import Fold
from core.log.snapshots import alarm_after, rows_after

REPLAY_LEASE = "replay:alarms"
REPLAY_SECONDS = 30.0
"""For how long a replay that was killed keeps others from starting."""
KEEP_SECONDS = 5.0
"""How often a replay renews that lease."""
ROWS = 1_000
FILLS = 3
"""How many writes of rows are under way at once: each waits for the journal more than for the processor."""
NEAR_EVENTS = 2_000
"""How far behind the log's end the projector is asked to stand still for the rest."""
ROUNDS = 20
"""How often the shadow is brought up to a log that goes on growing, before the projector is stopped."""
SWAPS = 3

Progress = Callable[[str, int, int], None]
"""Is told what is being done, how many are done, and out of how many."""


def silent(_what: str, _done: int, _total: int) -> None:
    """Tell nobody."""


class Way(Protocol):
    """A way from the log to the rows of the list. `position`, `event_id`: how far it has come."""

    position: int
    event_id: str

    def rows(self, until: int, progress: Progress) -> AsyncIterator[Sequence[Alarm]]:
        """Yield the rows that change up to the position, and none now and then, as long as it takes.

        Raises:
            LogMismatch: the log has a gap, or ends before the position.
            UnknownEvent: an event was written by a newer version.
            Unavailable: the log cannot be read.
        """
        ...


class Folding:
    """From the first event on, by the facts alone: the proof of the list. Memory grows with the alarms."""

    def __init__(self, log: EventReader) -> None:
        self._log = log
        self._fold = Fold()
        self.position = 0
        self.event_id = ""

    async def rows(self, until: int, progress: Progress) -> AsyncIterator[Sequence[Alarm]]:
        """Fold up to the position, then yield the alarms that changed."""
        fold = self._fold
        async for events in pages(self._log.recorded, fold.position, until):
            check_gapless(events, fold.position)
            for event in events:
                fold.add(event)
            progress("folding events", fold.position, until)
            yield ()
        self.position, self.event_id = fold.position, fold.event_id
        changed = fold.changed()
        for rows in _chunks(changed.values()):
            yield rows


class Newest:
    """From the newest snapshot of each alarm: costs what there are alarms. Memory does not grow."""

    def __init__(self, log: ReplayReader) -> None:
        self._log = log
        self._begun = False
        self.position = 0
        self.event_id = ""

    async def rows(self, until: int, progress: Progress) -> AsyncIterator[Sequence[Alarm]]:
        """Yield the newest row of every alarm, and from then on what the events change."""
        if self._begun:
            async for events in pages(whole(self._log), self.position, until):
                check_gapless(events, self.position)
                self.position, self.event_id = events[-1].position, events[-1].event_id
                yield list((await rows_after(self._log, events)).values())
                progress("reading events", self.position, until)
            return
        # Before the snapshots: what is appended meanwhile is read once more afterwards.
        end, self._begun = await self._log.tail(), True
        async for snapshots in self._log.newest_of_all():
            yield [await alarm_after(self._log, snapshot) for snapshot in snapshots]
        self.position, self.event_id = end.position, end.event_id


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
    async with kept_lease(leases, REPLAY_LEASE, holder, REPLAY_SECONDS) as kept:
        replay = _Replay(log, model, leases, way, progress)
        await replay.fill(await model.rebuild.begin(), kept)
        for _ in range(ROUNDS):
            if (await log.tail()).position - way.position <= NEAR_EVENTS:
                break
            await replay.catch_up(kept)
        for _ in range(SWAPS):
            if await replay.swap(holder):
                return way.position
    raise StartupRefused("others kept changing the checkpoint: is another replay running?")


Kept = Callable[[], Awaitable[None]]
"""Raises StartupRefused once the lease was lost."""


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
        async with Sliding(FILLS) as filling:
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
            stamp = await self._log.stamp(checkpoint.position)
            same = stamp is not None and stamp.event_id == checkpoint.event_id
            kept = Keeping(self._leases, lease, LEASE_SECONDS, LEASE_SECONDS / 4)
            await self.catch_up(kept, checkpoint.position if same else 0)
            to = Checkpoint(self._way.position, self._way.event_id, checkpoint.generation + 1)
            return await self._model.rebuild.swap(self.shadow, lease, to)
        finally:
            await let_go(self._leases, lease)


class Keeping:
    """Renews a lease whenever it is called, but not all the time."""

    def __init__(self, leases: Takeover, lease: Lease, seconds: float, every: float) -> None:
        self._leases = leases
        self._lease = lease
        self._seconds = seconds
        self._every = every
        self._due = _clock() + every

    async def __call__(self) -> None:
        """Renew it if it is time to. Raises StartupRefused: it was lost."""
        if _clock() < self._due:
            return
        self._due = _clock() + self._every
        if not await self._leases.renew(self._lease, self._seconds):
            raise StartupRefused(f"the lease {self._lease.name} was lost to another process")


def _clock() -> float:
    return asyncio.get_running_loop().time()


@asynccontextmanager
async def kept_lease(leases: Takeover, name: str, holder: str, seconds: float) -> AsyncIterator[Kept]:
    """Hold the lease of a replay, as long as what is given is called. Raises StartupRefused: another does."""
    lease = await leases.acquire(name, holder, seconds)
    if lease is None:
        raise StartupRefused("another replay of the same is running")
    try:
        yield Keeping(leases, lease, seconds, KEEP_SECONDS)
    finally:
        await let_go(leases, lease)


def _chunks(rows: Iterable[Alarm]) -> Iterator[Sequence[Alarm]]:
    waiting = iter(rows)
    while chunk := list(islice(waiting, ROWS)):
        yield chunk


async def let_go(leases: Takeover, lease: Lease) -> None:
    """Release the lease, if that is possible."""
    # It runs out by itself too; what the replay came to is more important to tell.
    with suppress(Unavailable):
        await leases.release(lease)

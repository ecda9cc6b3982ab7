"""The projector: keeps a read model up with the log, in one process at a time."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import ClassVar, Protocol

from core.alarm.events import Event
from core.application.workers.leader import LEASE_SECONDS, LeaderTask
from core.backoff import backoff
from core.coordination.ports import Checkpoint, Checkpoints, Lease, Leases
from core.errors import LogMismatch, Unavailable
from core.lists.ports import AlarmList, AlarmRebuild
from core.log.ports import ProjectionReader, StreamReader
from core.log.snapshots import rows_after

logger = logging.getLogger("tocsin.projector")

PROJECTION = "alarms"
PROJECTOR_LEASE = "projector"
BATCH_EVENTS = 1_000
PACE_SECONDS = 0.05
"""How soon a batch follows one that was not full: each is two majority writes that commands wait behind."""
RETRY_SECONDS = 5.0
MISSING_TRIES = 5
"""How often the event at the checkpoint is looked for: a new primary's majority view may lag."""

Follow = Callable[[int], AsyncIterator[Sequence[Event]]]
"""Yields every event of a position > the argument, in batches, none empty, in order, for ever."""


class ReadModel(Protocol):
    """What a projector keeps up. Its writes bear to be repeated: whatever comes again changes nothing."""

    @property
    def name(self) -> str:
        """The name of its checkpoint."""
        ...

    @property
    def lease(self) -> str:
        """The name of its lease."""
        ...

    @property
    def pace(self) -> float:
        """How many seconds a batch that is not full waits for the next."""
        ...

    @property
    def checkpoints(self) -> Checkpoints:
        """Where its checkpoint is."""
        ...

    async def write(self, log: StreamReader, events: Sequence[Event], generation: int) -> None:
        """Bring events into it, a batch in order. Raises UnknownEvent, Unavailable."""
        ...

    async def settle(self) -> None:
        """Finish what a rebuild has left to do. Raises Unavailable."""
        ...

    async def start_over(self, lease: Lease, at: Checkpoint) -> None:
        """Begin at the log's beginning, since the model is another log's. Raises Unavailable."""
        ...


@dataclass(frozen=True, slots=True)
class AlarmModel:
    """The alarm list, how far it is, and the way to build it anew."""

    alarms: AlarmList
    checkpoints: Checkpoints
    rebuild: AlarmRebuild

    name: ClassVar[str] = PROJECTION
    lease: ClassVar[str] = PROJECTOR_LEASE

    @property
    def pace(self) -> float:
        """How many seconds a batch that is not full waits for the next."""
        return PACE_SECONDS

    async def write(self, log: StreamReader, events: Sequence[Event], generation: int) -> None:  # noqa: ARG002
        """Write the newest row of each alarm, guarded by position."""
        await self.alarms.write(await rows_after(log, events))

    async def settle(self) -> None:
        """Carry out a swap that was written down."""
        await self.rebuild.settle()

    async def start_over(self, lease: Lease, at: Checkpoint) -> None:
        """Put an empty list in place."""
        empty = await self.rebuild.begin()
        await self.rebuild.finish(empty)
        await self.rebuild.swap(empty, lease, Checkpoint(0, "", at.generation + 1))


class Projector:
    """Brings what follows into a read model, then moves the checkpoint.

    A crash between the two, a second leader or an event that comes twice changes nothing: what is written is
    guarded by position, the checkpoint by generation and lease token.
    """

    def __init__(
        self, log: ProjectionReader, follow: Follow, model: ReadModel, leases: Leases, holder: str
    ) -> None:
        self._log = log
        self._follow = follow
        self._model = model
        self._leases = leases
        self.task = LeaderTask(leases, model.lease, holder, self.work)
        self._failures = 0

    @property
    def status(self) -> str:
        """`leading`, `standby`, or in one line why it has stopped."""
        return self.task.status

    async def run(self) -> None:
        """Project for ever; cancelling it lets go of the lease. Returns at an event of a newer version."""
        await self.task.run()

    def log_replaced(self) -> None:
        """Compare the log with the checkpoint again: the feed has seen another one."""
        self.task.restart()

    async def work(self, lease: Lease) -> None:
        """Project until the lease is lost, through every outage. Raises UnknownEvent."""
        while True:
            try:
                await self._project_all(lease)
                if not await self._leases.renew(lease, LEASE_SECONDS):
                    return
            except Unavailable as error:
                self._failures += 1
                if self._failures > 1:
                    logger.warning("trying again: %s", error)
            except LogMismatch as error:
                self._failures += 1
                logger.warning("reading the log again from the checkpoint: %s", error)
            await asyncio.sleep(backoff(self._failures, 0.02, RETRY_SECONDS, random.random()))

    async def _project_all(self, lease: Lease) -> None:
        """Project from the checkpoint on, until another may not be written any more."""
        at = await self._resumed(lease)
        async with _closing(self._follow(at.position)) as batches:
            async for events in batches:
                began = asyncio.get_running_loop().time()
                for start in range(0, len(events), BATCH_EVENTS):
                    to = await self._project(events[start : start + BATCH_EVENTS], at, lease)
                    if to is None:
                        return
                    at = to
                if len(events) < BATCH_EVENTS:
                    await asyncio.sleep(began + self._model.pace - asyncio.get_running_loop().time())

    async def _project(self, events: Sequence[Event], at: Checkpoint, lease: Lease) -> Checkpoint | None:
        """Bring in one batch; None: the checkpoint moved otherwise meanwhile."""
        if events[0].position != at.position + 1:
            raise LogMismatch(f"event {events[0].position} follows {at.position}")
        await self._model.write(self._log, events, at.generation)
        to = Checkpoint(events[-1].position, events[-1].event_id, at.generation)
        if not await self._model.checkpoints.advance(self._model.name, lease, to):
            return None
        self._failures = 0
        return to

    async def _resumed(self, lease: Lease) -> Checkpoint:
        """Return the checkpoint to go on from, after making sure that it belongs to this log."""
        await self._model.settle()
        at = await self._model.checkpoints.load(self._model.name)
        if await self._belongs(at):
            return at
        logger.error("position %d of %s is of another log: building it anew", at.position, self._model.name)
        await self._model.start_over(lease, at)
        return await self._model.checkpoints.load(self._model.name)

    async def _belongs(self, at: Checkpoint) -> bool:
        if at.position == 0:
            return True
        for tries in range(1, MISSING_TRIES + 1):
            stamp = await self._log.stamp(at.position)
            if stamp is not None:
                return stamp.event_id == at.event_id
            await asyncio.sleep(backoff(tries, 0.1, 1.0, random.random()))
        return False


@asynccontextmanager
async def _closing(batches: AsyncIterator[Sequence[Event]]) -> AsyncIterator[AsyncIterator[Sequence[Event]]]:
    """End the generator with the block that reads it, not when it is collected."""
    try:
        yield batches
    finally:
        close = getattr(batches, "aclose", None)
        if close is not None:
            await close()

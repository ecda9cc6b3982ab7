"""The projector: keeps a read model up with the log, in one process at a time."""

import asyncio
import logging
from collections.abc import Sequence
from typing import ClassVar

from core.alarm.events import Event
from core.application.checkpoints import belongs_in_time
from core.application.feed import Follow
from core.application.ports import ReadModel
from core.application.waiting import Arrivals, loop_time
from core.application.workers.leader import Candidate
from core.application.workers.worker import Worker
from core.coordination.ports import Checkpoint, Lease
from core.errors import LogMismatch, Unavailable
from core.log.ports import ProjectionReader

BATCH_EVENTS = 1_000
"""How many events of a batch show that more are waiting."""
TAKE_SECONDS = 0.1
"""How often events are taken in during a rest that is longer."""
GATHERED_EVENTS = 10_000
"""How many events are taken in before they are stored, however long the rest."""
LONGEST_REST_SECONDS = 0.5
"""How long the projector rests at most because its last batch was slow."""


class Projector(Worker):
    """Writes events into a read model, as many at once as have come, then moves the checkpoint.

    A crash between the two, a second leader or a repeated event changes nothing: the position guards the
    rows, generation and lease token guard the checkpoint.
    """

    logger: ClassVar = logging.getLogger("tocsin.projector")
    again: ClassVar = "projecting again from the checkpoint"
    # LogMismatch is not routine here: a gap in the feed's events is logged at once.
    routine: ClassVar = (Unavailable,)
    first_pause_seconds: ClassVar = 0.02

    def __init__(self, log: ProjectionReader, follow: Follow, model: ReadModel, candidate: Candidate) -> None:
        super().__init__(candidate, model.names.lease)
        self._log = log
        self._follow = follow
        self._model = model
        self._projection = model.names.projection
        # Where the model is in memory; the stored checkpoint is there or before.
        self._taken = Checkpoint(0, "", 0)

    async def _work_once(self, lease: Lease) -> None:
        at = self._taken = await self._resume(lease)
        async with Arrivals(self._follow(at.position)) as arrivals:
            while True:
                full = self._taken == at and await self._take(await arrivals.next())
                began = loop_time()
                pace = await self._model.store()
                if not await self._advance(lease):
                    return
                at = self._taken
                if not full:
                    await self._rest(arrivals, rest(loop_time() - began, pace))

    async def _take(self, events: Sequence[Event]) -> bool:
        """Let the model take in the events that follow those it has; tell whether more are waiting."""
        at = self._taken
        if events[0].position != at.position + 1:
            raise LogMismatch(f"event {events[0].position} follows {at.position}")
        await self._model.take(self._log, events, at.generation)
        self._taken = Checkpoint(events[-1].position, events[-1].event_id, at.generation)
        return len(events) >= BATCH_EVENTS

    async def _advance(self, lease: Lease) -> bool:
        """Move the checkpoint to where the model is stored; False: another process moved it."""
        if not await self._model.checkpoints.advance(self._projection, lease, self._taken):
            return False
        self._succeeded()
        return True

    async def _rest(self, arrivals: Arrivals, seconds: float) -> None:
        """Rest. In a long rest take in what comes: the feed forgets it soon, and the log is dear to read."""
        most, until = self._taken.position + GATHERED_EVENTS, loop_time() + seconds
        while (left := until - loop_time()) > TAKE_SECONDS and self._taken.position < most:
            events = await arrivals.next(asyncio.sleep(left))
            if events:
                await self._take(events)
            left = until - loop_time()
            await asyncio.sleep(min(left, TAKE_SECONDS))
        if self._taken.position < most:
            await asyncio.sleep(left)

    async def _resume(self, lease: Lease) -> Checkpoint:
        """Return the checkpoint to resume from; start over if it belongs to another log."""
        await self._model.settle()
        at = await self._model.checkpoints.load(self._projection)
        if await belongs_in_time(self._log, at, self._chance):
            return at
        self.logger.error("position %d of %s is of another log: rebuilding", at.position, self._projection)
        await self._model.start_over(lease, at)
        return await self._model.checkpoints.load(self._projection)


def rest(took: float, pace: float) -> float:
    """Return how long to rest after a batch that was not full and took so many seconds.

    The next batch starts `pace` seconds after this one did. If this one took more than half of that, the
    machine is busy, and the rest is as long as the batch: commands get their share, and the next batch finds
    more events of the same alarms, which cost one row.
    """
    return max(pace - took, min(took, LONGEST_REST_SECONDS))

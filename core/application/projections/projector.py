"""The projector: keeps a read model up with the log, in one process at a time."""

import asyncio
import logging
from collections.abc import Sequence
from typing import ClassVar

from core.alarm.events import Event
from core.application.checkpoints import belongs_in_time
from core.application.feed import Follow
from core.application.ports import ReadModel
from core.application.waiting import closing
from core.application.workers.leader import Candidate
from core.application.workers.worker import Worker
from core.coordination.ports import Checkpoint, Lease
from core.errors import LogMismatch, Unavailable
from core.log.ports import ProjectionReader

BATCH_EVENTS = 1_000
LONGEST_REST_SECONDS = 0.5
"""How long the projector rests at most because its last batch was slow."""


class Projector(Worker):
    """Writes events into a read model, then moves the checkpoint.

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

    async def _work_once(self, lease: Lease) -> None:
        at = await self._resume(lease)
        clock = asyncio.get_running_loop().time
        async with closing(self._follow(at.position)) as batches:
            async for events in batches:
                began = clock()
                for start in range(0, len(events), BATCH_EVENTS):
                    to = await self._project(events[start : start + BATCH_EVENTS], at, lease)
                    if to is None:
                        return
                    at = to
                if len(events) < BATCH_EVENTS:
                    await asyncio.sleep(rest(clock() - began, self._model.pace))

    async def _project(self, events: Sequence[Event], at: Checkpoint, lease: Lease) -> Checkpoint | None:
        """Write one batch; None: another process moved the checkpoint."""
        if events[0].position != at.position + 1:
            raise LogMismatch(f"event {events[0].position} follows {at.position}")
        await self._model.write(self._log, events, at.generation)
        to = Checkpoint(events[-1].position, events[-1].event_id, at.generation)
        if not await self._model.checkpoints.advance(self._projection, lease, to):
            return None
        self._succeeded()
        return to

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

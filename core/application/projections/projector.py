"""The projector: keeps a read model up with the log, in one process at a time."""

import asyncio
import logging
from collections.abc import Sequence
from typing import ClassVar, Protocol

from core.alarm.events import Event
from core.application.checkpoints import belongs_in_time
from core.application.feed import Follow
from core.application.waiting import closing
from core.application.workers.leader import Candidate
from core.application.workers.worker import Worker
from core.coordination.ports import Checkpoint, Checkpoints, Lease
from core.errors import LogMismatch, Unavailable
from core.log.ports import ProjectionReader, StreamReader

BATCH_EVENTS = 1_000


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


class Projector(Worker):
    """Brings what follows into a read model, then moves the checkpoint.

    A crash between the two, a second leader or an event that comes twice changes nothing: what is written is
    guarded by position, the checkpoint by generation and lease token.
    """

    logger: ClassVar = logging.getLogger("tocsin.projector")
    again: ClassVar = "projecting again from the checkpoint"
    # A gap in what the feed passes on is worth a line at once.
    routine: ClassVar = (Unavailable,)
    first_pause_seconds: ClassVar = 0.02

    def __init__(self, log: ProjectionReader, follow: Follow, model: ReadModel, candidate: Candidate) -> None:
        super().__init__(candidate, model.lease)
        self._log = log
        self._follow = follow
        self._model = model

    async def _go(self, lease: Lease) -> None:
        at = await self._resumed(lease)
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
                    await asyncio.sleep(began + self._model.pace - clock())

    async def _project(self, events: Sequence[Event], at: Checkpoint, lease: Lease) -> Checkpoint | None:
        """Bring in one batch; None: the checkpoint moved otherwise meanwhile."""
        if events[0].position != at.position + 1:
            raise LogMismatch(f"event {events[0].position} follows {at.position}")
        await self._model.write(self._log, events, at.generation)
        to = Checkpoint(events[-1].position, events[-1].event_id, at.generation)
        if not await self._model.checkpoints.advance(self._model.name, lease, to):
            return None
        self._succeeded()
        return to

    async def _resumed(self, lease: Lease) -> Checkpoint:
        """Return the checkpoint to go on from, after making sure that it belongs to this log."""
        await self._model.settle()
        at = await self._model.checkpoints.load(self._model.name)
        if await belongs_in_time(self._log, at, self._chance):
            return at
        self.logger.error(
            "position %d of %s is of another log: building it anew", at.position, self._model.name
        )
        await self._model.start_over(lease, at)
        return await self._model.checkpoints.load(self._model.name)

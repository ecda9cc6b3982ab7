"""Deadlines: ends timed shelves when their time is up, in one process at a time (ISA-18.2 §11.5)."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import ClassVar

from core.alarm.context import Context
from core.alarm.events import Actor, Event
from core.alarm.shelves import Shelf, Shelves
from core.alarm.suppression import Unshelve
from core.application.checkpoints import belongs
from core.application.feed import Follow
from core.application.projections.alarms import PROJECTION, AlarmModel
from core.application.waiting import Arrivals
from core.application.workers.leader import Candidate
from core.application.workers.worker import LONGEST_PAUSE_SECONDS, Worker
from core.backoff import backoff
from core.coordination.ports import Lease
from core.errors import LogMismatch, OutcomeUnknown, Refused, Unavailable
from core.host import Clock, Ids
from core.log.folding import check_known
from core.log.handler import CommandHandler
from core.log.ports import LogPositions

DEADLINES_LEASE = "deadlines"
ACTOR = Actor("deadlines", "system")
ENDED_AT_ONCE = 64
"""How many shelves are ended at the same time."""


@dataclass(frozen=True, slots=True)
class ShelfSources:
    """Where the shelves are read: first from the alarm list, then from the log."""

    log: LogPositions
    follow: Follow
    model: AlarmModel


class Deadlines(Worker):
    """Unshelves each alarm when its timed shelf ends, and sleeps until the next one does.

    The command names the end of its shelf. So a shelf that was renewed or ended meanwhile, a second leader or
    a shelf that is seen twice changes nothing.
    """

    logger: ClassVar = logging.getLogger("tocsin.deadlines")
    again: ClassVar = "reading the shelves again"

    def __init__(
        self, sources: ShelfSources, handler: CommandHandler, clock: Clock, ids: Ids, candidate: Candidate
    ) -> None:
        super().__init__(candidate, DEADLINES_LEASE)
        self._sources = sources
        self._handler = handler
        self._clock = clock
        self._ids = ids

    async def _work_once(self, _: Lease) -> None:
        """Read all shelves, then follow the log and end shelves as they come due."""
        shelves = Shelves()
        after = await self._load(shelves)
        async with Arrivals(self._sources.follow(after)) as arrivals:
            while True:
                earliest = shelves.earliest()
                due = () if earliest is None else (self._clock.sleep_until(earliest),)
                events = await arrivals.next(*due)
                if events:
                    after = _see(shelves, events, after)
                    self._succeeded()
                await self._end_due(shelves)

    async def _load(self, shelves: Shelves) -> int:
        """Read the shelves of the alarm list; return the position to follow the log from.

        Raises:
            LogMismatch: the list is of another log, or was swapped meanwhile; read it again.
        """
        model = self._sources.model
        # A swap changes the list first and its generation last: finish it before and after the scan.
        await model.rebuild.settle()
        before = await model.checkpoints.load(PROJECTION)
        if not await belongs(self._sources.log, before):
            raise LogMismatch(f"position {before.position} of the alarm list is not in the log")
        async for rows in model.alarms.shelved():
            for row in rows:
                shelves.see(row)
        await model.rebuild.settle()
        if (await model.checkpoints.load(PROJECTION)).generation != before.generation:
            raise LogMismatch("the alarm list was swapped while it was read")
        return before.position

    async def _end_due(self, shelves: Shelves) -> None:
        due = shelves.take_due(self._clock.now(), ENDED_AT_ONCE)
        await asyncio.gather(*(self._end(shelf) for shelf in due))

    async def _end(self, shelf: Shelf) -> None:
        """Unshelve the alarm; retry while the log cannot be reached."""
        command = self._expiry(shelf)
        for tries in count(1):
            try:
                await self._handler.handle(command)
            except (Unavailable, OutcomeUnknown) as error:
                if tries > 1:
                    self.logger.warning("unshelving %s again: %s", shelf.alarm_id, error)
            except Refused as refusal:
                self.logger.warning("alarm %s is not unshelved: %s", shelf.alarm_id, refusal.detail)
                return
            else:
                return
            pause = backoff(tries, self.first_pause_seconds, LONGEST_PAUSE_SECONDS, self._chance())
            await asyncio.sleep(pause)

    def _expiry(self, shelf: Shelf) -> Unshelve:
        context = Context(
            event_id=self._ids.new(),
            tenant=shelf.tenant,
            actor=ACTOR,
            now=self._clock.now(),
        )
        return Unshelve(context=context, alarm_id=shelf.alarm_id, expired=shelf.until)


def _see(shelves: Shelves, events: Sequence[Event], after: int) -> int:
    """Take the events after `after`; return their last position. Raises LogMismatch, UnknownEvent."""
    for event in events:
        check_known(event)
        if event.position != after + 1:
            raise LogMismatch(f"event {event.position} follows {after}")
        shelves.see(event.alarm)
        after = event.position
    return after

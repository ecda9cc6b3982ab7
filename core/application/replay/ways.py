"""The ways from the log to the rows of the alarm list."""

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from itertools import islice
from typing import Protocol

from core.alarm.alarm import Alarm
from core.application.replay.progress import Progress
from core.application.replay.reading import check_gapless, pages, whole
from core.log.ports import EventReader, ReplayReader
from core.log.projection import Fold
from core.log.snapshots import alarm_after, rows_after

ROWS_AT_ONCE = 1_000
"""How many rows of a fold are yielded at once."""


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


def _chunks(rows: Iterable[Alarm]) -> Iterator[Sequence[Alarm]]:
    waiting = iter(rows)
    while chunk := list(islice(waiting, ROWS_AT_ONCE)):
        yield chunk

"""The ways from the log to the rows of the alarm list."""

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from itertools import islice

from core.alarm.alarm import Alarm
from core.application.replay.log_pages import check_follows, check_gapless, pages, with_snapshots
from core.application.replay.progress import Progress
from core.log.folding import Fold
from core.log.ports import EventReader, ReplayReader
from core.log.snapshots import alarm_after, rows_after

ROWS_AT_ONCE = 1_000
"""How many rows of a fold are yielded at once."""


class Folding:
    """Folds all facts from the first event on: the proof of the list. Memory grows with the alarms."""

    def __init__(self, log: EventReader) -> None:
        self._log = log
        self._fold = Fold()
        self.position = 0
        self.event_id = ""

    async def rows(self, until: int, progress: Progress) -> AsyncIterator[Sequence[Alarm]]:
        """Fold up to the position, with empty batches meanwhile, then yield the alarms that changed.

        Raises:
            LogMismatch: the log has a gap, or ends before the position.
            UnknownEvent: an event was written by a newer version.
            Unavailable: the log cannot be read.
        """
        fold = self._fold
        async for events in pages(self._log.recorded, fold.position, until):
            for event in events:
                check_follows(event, fold.position)
                fold.add(event)
            progress("folding events", fold.position, until)
            yield ()
        self.position, self.event_id = fold.position, fold.event_id
        changed = fold.changed()
        for rows in _chunks(changed.values()):
            yield rows


class Newest:
    """Reads the newest snapshot of each alarm. Time grows with the alarms, memory does not."""

    def __init__(self, log: ReplayReader) -> None:
        self._log = log
        self._begun = False
        self.position = 0
        self.event_id = ""

    async def rows(self, until: int, progress: Progress) -> AsyncIterator[Sequence[Alarm]]:
        """Yield the newest row of every alarm first, and in later calls the rows that the events change.

        Raises:
            LogMismatch: the log has a gap, or ends before the position.
            UnknownEvent: an event was written by a newer version.
            Unavailable: the log cannot be read.
        """
        if self._begun:
            async for events in pages(with_snapshots(self._log), self.position, until):
                check_gapless(events, self.position)
                self.position, self.event_id = events[-1].position, events[-1].event_id
                yield list((await rows_after(self._log, events)).values())
                progress("reading events", self.position, until)
            return
        # Before the snapshots: events appended meanwhile are read once more afterwards.
        end, self._begun = await self._log.tail(), True
        async for snapshots in self._log.newest_of_all():
            yield [await alarm_after(self._log, snapshot) for snapshot in snapshots]
        self.position, self.event_id = end.position, end.event_id


RowSource = Folding | Newest
"""Makes the rows of the list from the log; `position` and `event_id` say how far it has come."""


def _chunks(rows: Iterable[Alarm]) -> Iterator[Sequence[Alarm]]:
    remaining = iter(rows)
    while chunk := list(islice(remaining, ROWS_AT_ONCE)):
        yield chunk

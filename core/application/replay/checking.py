"""Compares the alarm list with the log (`replay alarms --check`), and checks the log itself (`verify`)."""

from array import array
from collections.abc import AsyncIterator, Iterator, Sequence
from itertools import pairwise
from typing import Literal

import msgspec

from core.alarm.alarm import Alarm
from core.alarm.events import Event
from core.application.projections.alarms import PROJECTION, AlarmModel
from core.application.replay.log_pages import pages, with_snapshots
from core.application.replay.progress import Progress, silent
from core.application.replay.swapping import CATCH_UP_ROUNDS, NEAR_EVENTS
from core.log.audit import Audit, Finding, differing_fields
from core.log.folding import Fold
from core.log.ports import EventReader

_HASH_PARTS = 8
"""In how many parts the hashes of event ids are sorted: more cost time, fewer cost memory."""


class Difference(msgspec.Struct, frozen=True, gc=False):
    """A row that the log contradicts: `fields` has the expected and the actual value by name."""

    kind: Literal["missing", "extra", "differing"]
    alarm_id: str
    fields: dict[str, tuple[object, object]]


async def check_alarms(
    log: EventReader, model: AlarmModel, progress: Progress = silent
) -> AsyncIterator[Difference]:
    """Yield each row of the alarm list that is not the fold of its alarm's events; change nothing.

    The list moves meanwhile, and each row claims to be its alarm at the row's own position. So the log is
    first folded up to a checkpoint P. Every row at P or before must then equal the fold, and every alarm of
    the fold must have a row. A row beyond P is put aside, and compared when the fold reaches its position.
    So no row escapes, and none is blamed for having moved.

    Raises:
        LogMismatch: the log ends before the checkpoint, which is of another log.
        UnknownEvent, Unavailable.
    """
    fold = Fold()
    position = 0
    for _ in range(CATCH_UP_ROUNDS):
        reached, position = position, (await model.checkpoints.load(PROJECTION)).position
        await _fold_up_to(log, fold, position, progress)
        if position - reached <= NEAR_EVENTS:
            break
    moved: dict[str, Alarm] = {}
    unseen = set(fold.alarms)
    async for rows in model.alarms.scan():
        for row in rows:
            unseen.discard(row.id)
            if row.position > fold.position:
                moved[row.id] = row
            elif (difference := _compared(fold.alarms.get(row.id), row)) is not None:
                yield difference
    for alarm_id in sorted(unseen):
        yield Difference("missing", alarm_id, {})
    async for difference in _check_moved(log, fold, moved):
        yield difference


async def verify(log: EventReader, progress: Progress = silent) -> AsyncIterator[Finding]:
    """Yield the log's errors, up to its present end.

    Errors are gaps in positions or revisions, times that run backwards, snapshots that are not their fold,
    and repeated event ids. Memory grows with the number of alarms, and by 8 bytes for each event.

    Raises:
        UnknownEvent, Unavailable.
    """
    total = (await log.tail()).position
    audit, hashes = Audit(), array("q")
    async for events in pages(with_snapshots(log), 0, total):
        for event in events:
            hashes.append(hash(event.event_id))
            for finding in audit.add(event):
                yield finding
        progress("checking events", audit.fold.position, total)
    suspects = _repeated(hashes)
    if suspects:
        async for finding in _duplicates(log, total, suspects):
            yield finding


async def _fold_up_to(log: EventReader, fold: Fold, position: int, progress: Progress) -> None:
    async for events in pages(log.recorded, fold.position, position):
        for event in events:
            fold.add(event)
        progress("folding events", fold.position, position)


async def _check_moved(log: EventReader, fold: Fold, moved: dict[str, Alarm]) -> AsyncIterator[Difference]:
    """Compare each row when the fold reaches its position; a row never reached is not of this log."""
    until = min(max((row.position for row in moved.values()), default=0), (await log.tail()).position)
    async for events in pages(log.recorded, fold.position, until):
        for event in events:
            fold.add(event)
            row = moved.get(event.stream)
            if row is not None and row.position == event.position:
                del moved[event.stream]
                difference = _compared(fold.alarms[event.stream], row)
                if difference is not None:
                    yield difference
    for row in moved.values():
        yield _compared(fold.alarms.get(row.id), row) or Difference("extra", row.id, {})


def _compared(expected: Alarm | None, row: Alarm) -> Difference | None:
    if expected is None:
        return Difference("extra", row.id, {})
    fields = differing_fields(expected, row)
    return Difference("differing", row.id, fields) if fields else None


def _repeated(hashes: "array[int]") -> set[int]:
    """Return the values that occur more than once."""
    repeated: set[int] = set()
    for part in range(_HASH_PARTS):
        ordered = sorted(value for value in hashes if value % _HASH_PARTS == part)
        repeated.update(first for first, second in pairwise(ordered) if first == second)
    return repeated


async def _duplicates(log: EventReader, total: int, suspects: set[int]) -> AsyncIterator[Finding]:
    """Tell real duplicates from ids that share a hash."""
    first: dict[str, int] = {}
    async for events in pages(with_snapshots(log), 0, total):
        for event in _suspected(events, suspects):
            earlier = first.setdefault(event.event_id, event.position)
            if earlier != event.position:
                detail = f"event id {event.event_id} is at position {earlier} already"
                yield Finding("event_id", event.position, event.stream, detail)


def _suspected(events: Sequence[Event], suspects: set[int]) -> Iterator[Event]:
    return (event for event in events if hash(event.event_id) in suspects)

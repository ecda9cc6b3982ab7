"""Finds the alarm after an event: by its snapshot, or by folding its stream."""

from collections.abc import Iterable
from functools import reduce

from core.alarm.alarm import Alarm
from core.alarm.events import SCHEMA_VERSION, Event, Snapshot
from core.alarm.evolution import evolve
from core.errors import Unavailable
from core.log.folding import check_known, newest_events
from core.log.ports import FoldReader

FOLDED_AT_ONCE = 500
"""How many events of an alarm are read at once for a fold."""


async def alarm_after(log: FoldReader, event: Event | Snapshot) -> Alarm:
    """Return the alarm after the event; if an earlier version wrote the snapshot, fold the stream.

    Raises:
        UnknownEvent: a newer version wrote the event.
        Unavailable: its stream cannot be read.
    """
    check_known(event)
    if event.v == SCHEMA_VERSION:
        return event.alarm
    alarm = Alarm.absent(event.stream)
    while alarm.revision < event.revision:
        events = await log.stream(event.stream, alarm.revision, FOLDED_AT_ONCE)
        if not events:
            raise Unavailable("the alarm's events cannot be read yet")
        alarm = reduce(evolve, [each for each in events if each.revision <= event.revision], alarm)
    return alarm


async def rows_after(log: FoldReader, events: Iterable[Event]) -> dict[str, Alarm]:
    """Return, by id, each alarm of the events, as it is after its newest event.

    Raises:
        UnknownEvent: a newer version wrote an event, so its row cannot be known.
        Unavailable: a stream cannot be read.
    """
    return {stream: await alarm_after(log, event) for stream, event in newest_events(events).items()}

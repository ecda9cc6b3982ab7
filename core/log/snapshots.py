"""The alarm after an event: the event's snapshot, where it can be trusted, or the fold of its stream."""

from collections.abc import Iterable
from functools import reduce

from core.alarm.alarm import Alarm
from core.alarm.events import SCHEMA_VERSION, Event, Snapshot
from core.alarm.evolution import evolve
from core.errors import Unavailable
from core.log.ports import StreamReader
from core.log.projection import check_known, newest_events

FOLDED_AT_ONCE = 500
"""How many events of an alarm are read at once where its snapshot cannot be trusted."""


async def alarm_after(log: StreamReader, event: Event | Snapshot) -> Alarm:
    """Return the alarm after the event. The snapshot of an earlier version is not trusted: it is folded.

    Raises:
        UnknownEvent: the event is of a newer version.
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


async def rows_after(log: StreamReader, events: Iterable[Event]) -> dict[str, Alarm]:
    """Return, by id, each alarm that the events are about, as it is after the newest of them.

    Raises:
        UnknownEvent: an event is of a newer version, so its row cannot be known.
        Unavailable: a stream cannot be read.
    """
    return {stream: await alarm_after(log, event) for stream, event in newest_events(events).items()}

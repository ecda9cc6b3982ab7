"""The alarm list as of a position, from a log in memory."""

from collections.abc import Iterable
from datetime import datetime

from adapters.memory.alarms import listed
from adapters.memory.log import Events
from core.alarm.alarm import Alarm
from core.alarm.events import Event
from core.lists.query import AlarmPage, AlarmQuery
from core.log.folding import newest_events


def newest_rows(events: Iterable[Event]) -> dict[str, Alarm]:
    """Return each alarm's row, from its newest event's snapshot. Raises UnknownEvent."""
    return {stream: event.alarm for stream, event in newest_events(events).items()}


class MemoryAlarmHistory:
    """The history of the alarms (see core.lists.ports.AlarmHistory)."""

    def __init__(self, events: Events) -> None:
        self._events = events

    async def position_at(self, time: datetime) -> int:
        """Return the position of the newest event recorded at or before the time, 0 if there is none."""
        return max((event.position for event in self._events.all if event.at <= time), default=0)

    async def newest(self, tenant: str, alarm_id: str, position: int) -> Event | None:
        """Return the alarm's newest event at or before the position; None also for another tenant's."""
        events = [event for event in self._events.streams.get(alarm_id, ()) if event.position <= position]
        return events[-1] if events and events[-1].tenant == tenant else None

    async def page(self, query: AlarmQuery, position: int) -> AlarmPage:
        """Return one page of the list as of the position."""
        return listed(query, newest_rows(self._events.all[:position]).values())

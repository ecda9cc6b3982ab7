"""Remembers alarms, and which there are, from the feed and from own commits: so a write needs no read."""

from collections import OrderedDict
from collections.abc import Sequence

from core.alarm.alarm import Alarm
from core.alarm.events import SCHEMA_VERSION, Event
from core.log.seen_streams import SeenStreams

ALARMS = 20_000


class KnownAlarms:
    """The newest known states of at most `limit` alarms, those seen last, and of those that are absent.

    Each is a state that the log recorded; the log may hold a newer one. `streams` is told of each alarm.
    """

    def __init__(self, limit: int = ALARMS) -> None:
        self._limit = limit
        self.streams = SeenStreams()
        self._alarms: OrderedDict[str, Alarm] = OrderedDict()

    def __len__(self) -> int:
        return len(self._alarms)

    def get(self, alarm_id: str) -> Alarm | None:
        """Return the alarm as last seen, None if it is not remembered."""
        known = self._alarms.get(alarm_id)
        return Alarm.absent(alarm_id) if known is None and self.streams.lacks(alarm_id) else known

    def see(self, alarm: Alarm) -> None:
        """Remember the alarm, unless a later revision of it is known."""
        known = self._alarms.get(alarm.id)
        if known is None:
            self.streams.add(alarm.id)
        if known is None or alarm.revision > known.revision:
            self._alarms[alarm.id] = alarm
            self._alarms.move_to_end(alarm.id)
        if len(self._alarms) > self._limit:
            self._alarms.popitem(last=False)

    def learn(self, events: Sequence[Event]) -> None:
        """Remember the alarms as these events leave them."""
        for event in events:
            # Commands must not be decided on another version's snapshot: without one, the handler folds.
            if event.v == SCHEMA_VERSION:
                self.see(event.alarm)
            else:
                self.streams.add(event.stream)

    def forget(self) -> None:
        """Forget everything, because the log was replaced."""
        self._alarms.clear()
        self.streams.forget()

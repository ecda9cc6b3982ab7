"""Remembers alarms, and which there are, from the feed and from own commits: so a write needs no read."""

from collections import OrderedDict
from collections.abc import Sequence

from core.alarm.alarm import Alarm
from core.alarm.events import SCHEMA_VERSION, Event
from core.alarm.weight import memory_of
from core.log.seen_streams import SeenStreams

ALARMS = 20_000
ALARMS_BYTES = 64 * 1024 * 1024
"""How many bytes the remembered alarms take together."""


class KnownAlarms:
    """The newest known states of at most `limit` alarms, those seen last, as far as they fit `size` bytes.

    Each is a state that the log recorded; the log may hold a newer one. `streams` is told of each alarm,
    and knows which are absent.
    """

    def __init__(self, limit: int = ALARMS, size: int = ALARMS_BYTES) -> None:
        self._limit = limit
        self._size = size
        self.streams = SeenStreams()
        # Each with the bytes that it takes.
        self._alarms: OrderedDict[str, tuple[Alarm, int]] = OrderedDict()
        self._weight = 0

    def __len__(self) -> int:
        return len(self._alarms)

    def get(self, alarm_id: str) -> Alarm | None:
        """Return the alarm as last seen, None if it is not remembered."""
        known = self._alarms.get(alarm_id)
        if known is not None:
            return known[0]
        return Alarm.absent(alarm_id) if self.streams.lacks(alarm_id) else None

    def see(self, alarm: Alarm) -> None:
        """Remember the alarm, unless a later revision of it is known."""
        known = self._alarms.get(alarm.id)
        if known is None:
            self.streams.add(alarm.id)
        elif alarm.revision <= known[0].revision:
            return
        weight = memory_of(alarm)
        self._weight += weight - (0 if known is None else known[1])
        self._alarms[alarm.id] = alarm, weight
        self._alarms.move_to_end(alarm.id)
        while len(self._alarms) > self._limit or self._weight > self._size:
            self._weight -= self._alarms.popitem(last=False)[1][1]

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
        self._weight = 0
        self.streams.forget()

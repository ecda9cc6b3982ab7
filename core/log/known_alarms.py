"""What the feed and its own commits have shown a process of the alarms: enough to decide a write on."""

from collections import OrderedDict
from collections.abc import Sequence

from core.alarm.alarm import Alarm
from core.alarm.events import SCHEMA_VERSION, Event

ALARMS = 20_000


class KnownAlarms:
    """The newest known state of the alarms seen last, at most `limit` of them.

    It may be behind the log, never ahead of it or beside it.
    """

    def __init__(self, limit: int = ALARMS) -> None:
        self._limit = limit
        self._alarms: OrderedDict[str, Alarm] = OrderedDict()

    def __len__(self) -> int:
        return len(self._alarms)

    def get(self, alarm_id: str) -> Alarm | None:
        """Return the alarm as it was last seen."""
        return self._alarms.get(alarm_id)

    def see(self, alarm: Alarm) -> None:
        """Remember the alarm, unless a later revision of it is known."""
        known = self._alarms.get(alarm.id)
        if known is None or alarm.revision > known.revision:
            self._alarms[alarm.id] = alarm
            self._alarms.move_to_end(alarm.id)
        if len(self._alarms) > self._limit:
            self._alarms.popitem(last=False)

    def learn(self, events: Sequence[Event]) -> None:
        """Remember the alarms as these events leave them."""
        for event in events:
            # Another version's snapshot is not to be decided on: who finds nothing here reads and folds.
            if event.v == SCHEMA_VERSION:
                self.see(event.alarm)

    def forget(self) -> None:
        """Forget everything: the log was replaced."""
        self._alarms.clear()

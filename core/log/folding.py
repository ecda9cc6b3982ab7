"""Folds the facts of events into alarms; finds each alarm's newest event."""

from collections.abc import Iterable, Mapping

from core.alarm.alarm import Alarm
from core.alarm.events import SCHEMA_VERSION, Event, Recorded, Snapshot
from core.alarm.evolution import evolve
from core.alarm.facts import FACT_TYPES
from core.errors import UnknownEvent


def newest_events(events: Iterable[Event]) -> dict[str, Event]:
    """Return the newest event of each alarm; the events may come in any order.

    Raises:
        UnknownEvent: a newer version wrote one of the events.
    """
    newest: dict[str, Event] = {}
    for event in events:
        check_known(event)
        known = newest.get(event.stream)
        if known is None or known.position < event.position:
            newest[event.stream] = event
    return newest


def check_known(event: Recorded | Snapshot) -> None:
    """Raise UnknownEvent for an event of a newer version."""
    if event.v > SCHEMA_VERSION or event.type not in FACT_TYPES:
        raise UnknownEvent(event.type, event.v, event.position)


class Fold:
    """Folds the log's events into alarms, each from its first event on.

    Memory grows with the number of alarms, not of events.
    """

    def __init__(self) -> None:
        self._alarms: dict[str, Alarm] = {}
        self._changed: dict[str, Alarm] = {}
        self.position = 0
        """The position of the newest event folded in."""
        self.event_id = ""
        """That event's id."""

    @property
    def alarms(self) -> Mapping[str, Alarm]:
        """Every alarm as it stands at `position`, by id."""
        return self._alarms

    def before(self, event: Recorded) -> Alarm:
        """Return the event's alarm as folded so far."""
        return self._alarms.get(event.stream) or Alarm.absent(event.stream)

    def add(self, event: Recorded) -> Alarm:
        """Fold in the next event; return its alarm afterwards. Raises UnknownEvent."""
        after = evolve(self.before(event), event)
        self._alarms[event.stream] = self._changed[event.stream] = after
        self.position, self.event_id = event.position, event.event_id
        return after

    def changed(self) -> dict[str, Alarm]:
        """Return the alarms that changed since the last call."""
        changed, self._changed = self._changed, {}
        return changed

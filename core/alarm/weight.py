"""Estimates how much memory alarms and events take, for what is kept of them by the thousand."""

import msgspec

from core.alarm.alarm import Alarm
from core.alarm.events import Event

_OBJECTS = 1024
"""What the objects of an alarm or event take besides their contents."""
_encode = msgspec.msgpack.Encoder().encode


def memory_of(kept: Alarm | Event) -> int:
    """Return about how many bytes it takes. Runs for each event several times, so it must be quick."""
    if isinstance(kept, Alarm):
        return _OBJECTS + _contents(kept)
    # What the event recorded repeats at most what the alarm after it holds.
    return 2 * (_OBJECTS + _contents(kept.alarm))


def _contents(alarm: Alarm) -> int:
    size = len(alarm.text) + len(alarm.source) + len(alarm.type) + len(alarm.qualifier)
    for name, value in alarm.labels.items():
        size += len(name) + len(value)
    return size + len(_encode(alarm.details)) if alarm.details else size

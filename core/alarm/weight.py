"""Estimates how much memory alarms and events take, for what is kept of them by the thousand."""

import msgspec

from core.alarm.alarm import Alarm
from core.alarm.events import Event

_OBJECTS = 1024
"""What the objects of an alarm or event take besides their contents."""
_encode = msgspec.msgpack.Encoder().encode


def memory_of(kept: Alarm | Event) -> int:
    """Return about how many bytes it takes. Runs for each event several times, so it must be quick."""
    return _OBJECTS + len(_encode(kept))

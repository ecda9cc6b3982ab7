"""Events of earlier versions: what is stored stays as it is, and is brought up to date when it is read.

The shape of what is stored changes only together with its version (SCHEMA_VERSION), and each change brings
the step that leads to it from the version before. A step gets what that version stored, as plain values, and
returns what the next one would have stored; where it has nothing to do there is none.
"""

from collections.abc import Callable, Mapping
from typing import Any

Plain = dict[str, Any]
Step = Callable[[Plain], Plain]

DATA_STEPS: Mapping[tuple[str, int], Step] = {}
"""By the event's type and version: from that version's `data` to the next one's."""
ALARM_STEPS: Mapping[int, Step] = {}
"""By version: from its snapshot to the next one's, so that it can be shown. Nothing is decided on it."""


def upcast_data(kind: str, data: Plain, version: int, to: int) -> Plain:
    """Return the `data` of an event of this type, brought from one version to another."""
    for earlier in range(version, to):
        step = DATA_STEPS.get((kind, earlier))
        data = data if step is None else step(data)
    return data


def upcast_alarm(alarm: Plain, version: int, to: int) -> Plain:
    """Return a snapshot, brought from one version to another."""
    for earlier in range(version, to):
        step = ALARM_STEPS.get(earlier)
        alarm = alarm if step is None else step(alarm)
    return alarm

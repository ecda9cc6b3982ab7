"""Upcasts events of earlier versions when they are read; the stored events stay unchanged.

A change of the stored shape raises SCHEMA_VERSION and adds a step from the version before. A step takes the
plain values of one version and returns those of the next. A type that the change leaves alone has no step.
"""

from collections.abc import Callable, Mapping
from typing import Any

Plain = dict[str, Any]
Step = Callable[[Plain], Plain]

DATA_STEPS: Mapping[tuple[str, int], Step] = {}
"""Steps for `data`, by the event's type and the version they start from."""
ALARM_STEPS: Mapping[int, Step] = {}
"""Steps for snapshots, by the version they start from. Upcast snapshots are shown, never decided on."""


def upcast_data(kind: str, data: Plain, version: int, to: int) -> Plain:
    """Return the `data` of an event of this type, upcast from one version to another."""
    for earlier in range(version, to):
        step = DATA_STEPS.get((kind, earlier))
        data = data if step is None else step(data)
    return data


def upcast_alarm(alarm: Plain, version: int, to: int) -> Plain:
    """Return a snapshot, upcast from one version to another."""
    for earlier in range(version, to):
        step = ALARM_STEPS.get(earlier)
        alarm = alarm if step is None else step(alarm)
    return alarm

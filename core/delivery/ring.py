"""The ring: the newest events of the log, each encoded at most once for each encoding."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from core.alarm.events import Event
from core.errors import LogMismatch

RING_EVENTS = 10_000
RING_BYTES = 64 * 1024 * 1024

_BASE_BYTES = 2 * 1024
"""What an event takes besides its texts: the objects, and its own share of both encodings."""
_COPIES = 4
"""How often a text can be in memory: in the fact, in the alarm and in two encodings."""


class EncodedEvent:
    """An event, and what it was encoded to so far."""

    __slots__ = ("event", "json", "msgpack")

    def __init__(self, event: Event) -> None:
        self.event = event
        self.json: bytes | None = None
        self.msgpack: bytes | None = None


class Ring:
    """The events of positions `first` to `last`, without a gap; the oldest make room for the newest.

    `log` is the identity of their log, `last` the position that the first event published will follow.
    """

    def __init__(self, log: str, last: int, events: int = RING_EVENTS, size: int = RING_BYTES) -> None:
        self._events = events
        self._bytes = size
        self.restart(log, last)

    def __len__(self) -> int:
        return self.last - self.first + 1

    def restart(self, log: str, last: int) -> None:
        """Hold nothing, and go on after this position of a log."""
        self._entries: list[EncodedEvent | None] = [None] * self._events
        self._weights = [0] * self._events
        self._weight = 0
        self.log = log
        self.last = last
        self.first = last + 1

    def append(self, event: Event) -> None:
        """Add the next event. Raises LogMismatch for one that does not directly follow `last`."""
        position = event.position
        if position != self.last + 1:
            raise LogMismatch(f"event {position} follows {self.last}")
        if position - self.first == len(self._entries):
            self._drop()
        slot = position % len(self._entries)
        weight = weight_of(event)
        self._entries[slot] = EncodedEvent(event)
        self._weights[slot] = weight
        self._weight += weight
        self.last = position
        while self._weight > self._bytes and self.first < position:
            self._drop()

    def entry(self, position: int) -> EncodedEvent:
        """Return the entry at a position from `first` to `last`."""
        entry = self._entries[position % len(self._entries)]
        if entry is None or entry.event.position != position:
            raise LogMismatch(f"event {position} is not among {self.first} to {self.last}")
        return entry

    def between(self, after: int, to: int) -> Sequence[EncodedEvent]:
        """Return the entries after one position up to another; all of them must be here."""
        return [self.entry(position) for position in range(after + 1, to + 1)]

    def _drop(self) -> None:
        slot = self.first % len(self._entries)
        self._entries[slot] = None
        self._weight -= self._weights[slot]
        self.first += 1


def weight_of(event: Event) -> int:
    """Estimate, from above, the bytes that an event takes in memory with both its encodings."""
    alarm = event.alarm
    texts = len(alarm.text) + len(alarm.shelf_reason or "") + len(alarm.source) + len(alarm.qualifier)
    return _BASE_BYTES + _COPIES * (
        texts + _size(alarm.labels) + _size(alarm.details) + _size(alarm.origins) + _size(event.data)
    )


def _size(value: Mapping[str, Any]) -> int:
    return len(msgspec.json.encode(value)) if value else 0

"""The newest events that the feed has passed on, for followers that are a little behind."""

from collections import deque
from collections.abc import Sequence
from itertools import islice

from core.alarm.events import Event
from core.alarm.weight import memory_of

RECENT_EVENTS = 5_000
"""How many events a follower can be behind before it reads the log itself."""
RECENT_BYTES = 32 * 1024 * 1024
"""How many bytes these events take together; the newest one is always kept."""


class RecentEvents:
    """Events of directly following positions; the newest push out the oldest."""

    def __init__(self, most: int = RECENT_EVENTS, size: int = RECENT_BYTES) -> None:
        self._most = most
        self._size = size
        self._events: deque[Event] = deque()
        self._weights: deque[int] = deque()
        self._weight = 0

    def __len__(self) -> int:
        return len(self._events)

    def add(self, events: Sequence[Event]) -> None:
        """Add the next events."""
        for event in events:
            weight = memory_of(event)
            self._events.append(event)
            self._weights.append(weight)
            self._weight += weight
        while len(self._events) > 1 and (len(self._events) > self._most or self._weight > self._size):
            self._events.popleft()
            self._weight -= self._weights.popleft()

    def skipping(self, count: int, most: int) -> Sequence[Event]:
        """Return at most `most` events behind the first `count`."""
        return list(islice(self._events, count, count + most))

    def clear(self) -> None:
        """Forget all events."""
        self._events.clear()
        self._weights.clear()
        self._weight = 0

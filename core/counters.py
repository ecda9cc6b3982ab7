"""Counters for the hot paths: plain numbers, which the metrics route reads."""

from bisect import bisect_left

SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""The upper bounds of buckets for durations, in seconds."""
SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500)
"""The upper bounds of buckets for batch sizes."""


class Histogram:
    """Counts values by their smallest upper bound; a last bucket counts values above all bounds."""

    __slots__ = ("bounds", "buckets", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.buckets = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count a value."""
        self.buckets[bisect_left(self.bounds, value)] += 1
        self.total += value


class AppendCounts:
    """Counts of appending: events that landed, batches by size and duration, and conflicts."""

    __slots__ = ("conflicts", "events", "forwarded", "seconds", "sizes")

    def __init__(self) -> None:
        self.events = 0
        self.conflicts = 0
        """How often another process took a position or a revision first."""
        self.forwarded = 0
        """How many events went to the process that appends for all."""
        self.sizes = Histogram(SIZES)
        self.seconds = Histogram(SECONDS)


class DeliveryCounts:
    """Counts of what a process sent to its sessions: messages, and closes by code."""

    __slots__ = ("closed", "messages", "slow")

    def __init__(self) -> None:
        self.messages = 0
        self.slow = 0
        """How often a socket's buffer was full."""
        self.closed: dict[int, int] = {}

    def close(self, code: int) -> None:
        """Count a close."""
        self.closed[code] = self.closed.get(code, 0) + 1

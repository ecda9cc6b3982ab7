"""What is counted on the hot paths: plain numbers, read by whoever shows them."""

from bisect import bisect_left

SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""The upper bounds of buckets for durations."""
SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500)
"""The upper bounds of buckets for how many there are at once."""


class Histogram:
    """How often a value was at most each of the bounds; a last bucket has the rest."""

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
    """What appending came to: events that landed, batches by size and duration, and races lost."""

    __slots__ = ("conflicts", "events", "seconds", "sizes")

    def __init__(self) -> None:
        self.events = 0
        self.conflicts = 0
        """How often another process had taken a position, or a revision, first."""
        self.sizes = Histogram(SIZES)
        self.seconds = Histogram(SECONDS)


class DeliveryCounts:
    """What the sessions of a process were sent: messages, and closes by their code."""

    __slots__ = ("closed", "messages", "slow")

    def __init__(self) -> None:
        self.messages = 0
        self.slow = 0
        """How often a socket was found full."""
        self.closed: dict[int, int] = {}

    def close(self, code: int) -> None:
        """Count a close."""
        self.closed[code] = self.closed.get(code, 0) + 1

"""How fast somebody may go: token buckets by name. Time comes in as an argument."""

from collections import OrderedDict

NAMES = 10_000
"""How many buckets are remembered; one that was not used for longest is full again by then."""


class Rates:
    """A bucket for each name that holds `burst` tokens and is refilled by `rate` of them a second."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        # What is left in each bucket, and when that was.
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str, tokens: float, now: float) -> float:
        """Take the tokens and return 0, or take none and return in how many seconds they will be there.

        `now` is in seconds and never runs backwards; more than `burst` tokens are never there.
        """
        left, since = self._buckets.pop(name, (self._burst, now))
        left = min(self._burst, left + (now - since) * self._rate)
        missing = tokens - left
        self._buckets[name] = (left if missing > 0 else left - tokens, now)
        if len(self._buckets) > NAMES:
            self._buckets.popitem(last=False)
        return max(0.0, missing / self._rate)

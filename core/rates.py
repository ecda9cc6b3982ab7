"""How fast somebody may go: token buckets, one by one or by name. Time comes in as an argument."""

from collections import OrderedDict

NAMES = 10_000
"""How many buckets are remembered; one that was not used for longest is full again by then."""


class TokenBucket:
    """Holds `burst` tokens at first and at most, and is refilled by `rate` of them a second.

    Every `now` is in seconds and never runs backwards.
    """

    __slots__ = ("_burst", "_left", "_rate", "_since")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._left = burst
        self._since = now

    def take(self, tokens: float, now: float) -> float:
        """Take the tokens and return 0, or take none and return in how many seconds they will be there.

        More than `burst` tokens are never there.
        """
        left = self._left + (now - self._since) * self._rate
        self._since = now
        if left > self._burst:  # noqa: PLR1730 (`min` would be a call for every message)
            left = self._burst
        if left < tokens:
            self._left = left
            return (tokens - left) / self._rate
        self._left = left - tokens
        return 0.0


class Rates:
    """A bucket for each name, of the same rate and burst."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def take(self, name: str, tokens: float, now: float) -> float:
        """Take tokens from the bucket of this name, as `TokenBucket.take` says."""
        bucket = self._buckets.get(name)
        if bucket is None:
            bucket = self._buckets[name] = TokenBucket(self._rate, self._burst, now)
            if len(self._buckets) > NAMES:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(name)
        return bucket.take(tokens, now)

"""How much a process takes from its clients, and how fast. Time comes in as an argument."""

import msgspec

from core.delivery.protocol import CLIENT_BYTES, SUBSCRIPTIONS
from core.lists.filter import FILTER_VALUES

SESSIONS = 10_000
"""How many sessions one process serves at once."""
MESSAGES_PER_SECOND = 20.0
"""How many messages a second a client may send for long."""
BURST_SECONDS = 5
"""For how many seconds' messages a client that has been quiet may send at once."""
STALL_SECONDS = 30.0
"""How long a client may take nothing of what it is sent."""


class Limits(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The limits of one process: what is beyond them is refused, with a word why."""

    sessions: int = SESSIONS
    subscriptions: int = SUBSCRIPTIONS
    filter_values: int = FILTER_VALUES
    message_bytes: int = CLIENT_BYTES
    messages_per_second: float = MESSAGES_PER_SECOND
    stall_seconds: float = STALL_SECONDS

    @property
    def burst(self) -> float:
        """How many messages may come at once: at the least all that a client opens with."""
        return max(self.messages_per_second * BURST_SECONDS, self.subscriptions + 1)


class Allowance:
    """A token bucket: `burst` at once, and `rate` a second from then on."""

    __slots__ = ("_burst", "_left", "_rate", "_since")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._left = burst
        self._since = now

    def take(self, now: float) -> bool:
        """Take one, if there is one. `now` is in seconds and never runs backwards."""
        self._left = min(self._burst, self._left + (now - self._since) * self._rate)
        self._since = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True

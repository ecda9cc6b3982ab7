"""How much a process takes from its clients, and how fast."""

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

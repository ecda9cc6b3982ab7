"""Limits on what a process takes from its clients."""

import msgspec

from core.delivery.protocol import CLIENT_BYTES, SUBSCRIPTIONS
from core.lists.filter import FILTER_VALUES

SESSIONS = 10_000
"""How many sessions one process serves at once."""
TENANT_SESSIONS = 9_000
"""How many of them may be one tenant's: a tenth stays for the others."""
SUBJECT_SESSIONS = 5_000
"""How many of them may be one subject's, of whom there may be many behind one API key."""
MESSAGES_PER_SECOND = 20.0
"""How many messages a second a client may send in the long run."""
BURST_SECONDS = 5
"""How many seconds' messages a client that has been quiet may send at once."""
STALL_SECONDS = 30.0
"""How long a client may take no data."""


class Limits(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The limits of one process, which refuses what exceeds them and says why."""

    sessions: int = SESSIONS
    tenant_sessions: int = TENANT_SESSIONS
    subject_sessions: int = SUBJECT_SESSIONS
    subscriptions: int = SUBSCRIPTIONS
    filter_values: int = FILTER_VALUES
    message_bytes: int = CLIENT_BYTES
    messages_per_second: float = MESSAGES_PER_SECOND
    stall_seconds: float = STALL_SECONDS

    @property
    def burst(self) -> float:
        """How many messages may come at once: at least those that a client opens with."""
        return max(self.messages_per_second * BURST_SECONDS, self.subscriptions + 1)

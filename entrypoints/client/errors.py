"""Every error of the client.

TocsinError
├─ StreamEnded          the connection is over for good
├─ ConnectionLost       there is no connection now; reconnecting may help
├─ SubscriptionRefused  the server refuses a subscription
└─ TokenUnavailable     no token was available
"""

from core.errors import TocsinError


class StreamEnded(TocsinError):
    """The connection is over for good; the message says why."""


class ConnectionLost(TocsinError):
    """The connection was lost, or none could be made; reconnecting may help."""


class SubscriptionRefused(TocsinError):
    """The server refuses the subscription; the message says why."""


class TokenUnavailable(TocsinError):
    """No token was available; the message says why."""

"""Every error of the client.

TocsinError
├─ StreamEnded          there is no connection any more, and there will be none
├─ ConnectionLost       there is none at the moment; another may be had
├─ SubscriptionRefused  the server does not take a subscription
└─ TokenUnavailable     there was no token to be had
"""

from core.errors import TocsinError


class StreamEnded(TocsinError):
    """There is no connection any more, and there will be none; the message says why."""


class ConnectionLost(TocsinError):
    """The connection is lost, or there was none; another may be had."""


class SubscriptionRefused(TocsinError):
    """The server does not take the subscription; the message says why."""


class TokenUnavailable(TocsinError):
    """There was no token to be had; the message says why."""

"""Signatures as Standard Webhooks has them (standardwebhooks.com, specification 1.0)."""

import base64
import hashlib
import hmac
from collections.abc import Iterable

from core.outbox.webhook import key_of


def signature(secrets: Iterable[str], message_id: str, timestamp: int, body: bytes) -> str:
    """Return the `webhook-signature` header: one `v1,` signature for each secret, separated by spaces.

    `timestamp` is in seconds since 1970 and new for each attempt; `body` is signed as it is sent.
    """
    signed = b"%b.%d.%b" % (message_id.encode(), timestamp, body)
    return " ".join(_signed(key_of(secret), signed) for secret in secrets)


def _signed(key: bytes, signed: bytes) -> str:
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()

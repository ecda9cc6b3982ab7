"""A webhook: who is told of which events, where, and in which format."""

import base64
import binascii
import re
from datetime import datetime
from typing import Literal

import msgspec

from core.alarm.bounds import TEXT_BYTES, check_text
from core.errors import InvalidInput
from core.lists.filter import Filter

Format = Literal["cloudevents", "slack", "pagerduty"]

STATEFUL: frozenset[Format] = frozenset({"pagerduty"})
"""Formats whose receiver takes each message for the alarm's newest state: an old one must not come late."""

TEST_TEXT = "This is a test of a webhook of Tocsin."

WEBHOOKS = 100
"""How many webhooks a tenant can have."""
SECRETS = 4
"""How many secrets one webhook can have: the newest, and those that are being rotated out."""
SECRET_PREFIX = "whsec_"  # noqa: S105 (it marks a secret and is none)
SECRET_BYTES = range(24, 65)
"""How long the key in a secret may be (Standard Webhooks)."""
ROUTING_KEY_LENGTH = 128

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_ROUTING_KEY = re.compile(rf"[\x21-\x7e]{{1,{ROUTING_KEY_LENGTH}}}")


class Webhook(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook of a tenant.

    Every matching event of a position > `after` is for it. While it is not `joined`, everything up to `after`
    has been routed for it; once it is, the router's own checkpoint says how far. Disabled, it is neither
    routed for nor sent to, and goes on from there when it is enabled again. `secrets`: the newest first.
    `rescans` counts the times that its rows had to be looked through anew. `from_file`: it was read from the
    file of webhooks at start-up and is changed there.
    """

    id: str
    tenant: str
    url: str
    format: Format = "cloudevents"
    filter: Filter = Filter()
    secrets: tuple[str, ...] = ()
    routing_key: str | None = None
    description: str = ""
    enabled: bool = True
    disabled_reason: str | None = None
    after: int = 0
    joined: bool = False
    rescans: int = 0
    from_file: bool = False
    created_at: datetime

    def check(self) -> None:
        """Check everything but the URL. Raises InvalidInput, naming the part and its bound."""
        if not _ID.fullmatch(self.id):
            raise InvalidInput("a webhook's id has 1 to 64 letters, digits, - and _")
        self.filter.check()
        check_text("description", self.description, TEXT_BYTES)
        if self.format == "pagerduty":
            if self.routing_key is None or not _ROUTING_KEY.fullmatch(self.routing_key):
                raise InvalidInput(
                    f"the format pagerduty needs a routing_key: 1 to {ROUTING_KEY_LENGTH} visible characters"
                )
        elif self.routing_key is not None:
            raise InvalidInput("only the format pagerduty takes a routing_key")
        self._check_secrets()

    def _check_secrets(self) -> None:
        if self.format != "cloudevents":
            if self.secrets:
                raise InvalidInput("only the format cloudevents is signed and takes secrets")
            return
        if not 1 <= len(self.secrets) <= SECRETS:
            raise InvalidInput(f"a webhook has 1 to {SECRETS} secrets, not {len(self.secrets)}")
        if len(set(self.secrets)) != len(self.secrets):
            raise InvalidInput("a secret is given twice")
        for secret in self.secrets:
            key_of(secret)


def same_definition(one: Webhook, other: Webhook) -> bool:
    """Tell whether two webhooks are the same but for when they were made and how far they are."""
    names = ("id", "tenant", "url", "format", "filter", "secrets", "routing_key", "description", "from_file")
    return all(getattr(one, name) == getattr(other, name) for name in names)


def key_of(secret: str) -> bytes:
    """Return the key in a secret, `whsec_` and base64. Raises InvalidInput, without telling the secret."""
    kind, _, encoded = secret.partition("_")
    try:
        key = base64.b64decode(encoded, validate=True) if f"{kind}_" == SECRET_PREFIX else b""
    except (ValueError, binascii.Error):
        raise InvalidInput(f"a secret is {SECRET_PREFIX} and base64") from None
    if len(key) not in SECRET_BYTES:
        raise InvalidInput(
            f"a secret's key has {SECRET_BYTES.start} to {SECRET_BYTES.stop - 1} bytes, not {len(key)}"
        )
    return key


def secret_of(key: bytes) -> str:
    """Return the secret that holds a key."""
    return SECRET_PREFIX + base64.b64encode(key).decode()

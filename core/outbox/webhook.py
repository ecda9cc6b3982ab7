"""A webhook: which events go to which URL, in which format."""

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


class FormatTraits(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What sets a format apart.

    `content_type`: the media type of its bodies. `signed`: its webhooks have secrets, which sign their calls.
    `takes_routing_key`: its webhooks have a routing key. `stateful`: its receivers take each message for the
    alarm's newest state, so no old one may come late.
    """

    content_type: str
    signed: bool = False
    takes_routing_key: bool = False
    stateful: bool = False


class Webhook(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook of a tenant.

    The webhook gets every matching event of a position > `after`. Until it has `joined` the others, `after`
    also says how far its events are routed; from then on, the router's checkpoint does. `joined_by`: the
    lease token of the router that let it join or took it over, so that a leader that slept cannot make it
    join in arrears; 0: of an earlier version. A disabled webhook is neither routed for nor sent to, and goes
    on from there when enabled again. `gone` counts how often an answer of 410 disabled it. `secrets`: the
    newest first. `rescans` counts how often its rows had to be read anew. `from_file`: the file of webhooks
    defines it, and changes belong there.
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
    joined_by: int = 0
    rescans: int = 0
    gone: int = 0
    from_file: bool = False
    created_at: datetime

    def check(self, traits: FormatTraits) -> None:
        """Check everything but the URL, by its format's traits.

        Raises InvalidInput, naming the part and its bound.
        """
        if not _ID.fullmatch(self.id):
            raise InvalidInput("a webhook's id has 1 to 64 letters, digits, - and _")
        self.filter.check()
        check_text("description", self.description, TEXT_BYTES)
        if traits.takes_routing_key:
            if self.routing_key is None or not _ROUTING_KEY.fullmatch(self.routing_key):
                key = f"1 to {ROUTING_KEY_LENGTH} visible characters"
                raise InvalidInput(f"the format {self.format} needs a routing_key: {key}")
        elif self.routing_key is not None:
            raise InvalidInput(f"the format {self.format} takes no routing_key")
        if traits.signed:
            self._check_secrets()
        elif self.secrets:
            raise not_signed(self.format)

    def _check_secrets(self) -> None:
        if not 1 <= len(self.secrets) <= SECRETS:
            raise InvalidInput(f"a webhook has 1 to {SECRETS} secrets, not {len(self.secrets)}")
        if len(set(self.secrets)) != len(self.secrets):
            raise InvalidInput("a secret is given twice")
        for secret in self.secrets:
            key_of(secret)


def not_signed(webhook_format: Format) -> InvalidInput:
    """Return the error about secrets for a webhook that has none."""
    return InvalidInput(f"the format {webhook_format} is not signed and takes no secrets")


def same_definition(one: Webhook, other: Webhook) -> bool:
    """Tell whether two webhooks are defined alike, whatever their age and progress."""
    names = ("id", "tenant", "url", "format", "filter", "secrets", "routing_key", "description", "from_file")
    return all(getattr(one, name) == getattr(other, name) for name in names)


def key_of(secret: str) -> bytes:
    """Return the key in a secret (`whsec_` and base64). Raises InvalidInput, without revealing the secret."""
    kind, _, encoded = secret.partition("_")
    try:
        key = base64.b64decode(encoded, validate=True) if f"{kind}_" == SECRET_PREFIX else b""
    except (ValueError, binascii.Error):
        raise InvalidInput(f"a secret is {SECRET_PREFIX} followed by base64") from None
    if len(key) not in SECRET_BYTES:
        raise InvalidInput(
            f"a secret's key has {SECRET_BYTES.start} to {SECRET_BYTES.stop - 1} bytes, not {len(key)}"
        )
    return key


def secret_of(key: bytes) -> str:
    """Return the secret that holds a key."""
    return SECRET_PREFIX + base64.b64encode(key).decode()

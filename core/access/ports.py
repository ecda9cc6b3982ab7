"""What authentication asks of the outside, and what it is promised."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from core.access.callers import Caller
from core.access.revocations import Revocation
from core.errors import Refusal
from core.roles import Role

UNKNOWN_API_KEY = Refusal("unknown_api_key", "absent", "there is no such API key", "list the API keys")
TOO_MANY_API_KEYS = Refusal(
    "too_many_api_keys", "conflict", "the tenant has as many API keys as possible", "revoke one first"
)


class TokenVerifier(Protocol):
    """Tokens that somebody trusted has signed."""

    def verify(self, token: str, now: datetime) -> Caller:
        """Return who the token was made for. Raises Unauthenticated."""
        ...


class ApiKey(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A key that programs authenticate with. `digest`: the SHA-256 of its secret, which nobody keeps."""

    id: str
    tenant: str
    name: str
    roles: frozenset[Role]
    digest: bytes
    created_at: datetime
    created_by: str
    expires_at: datetime | None = None


class ApiKeys(Protocol):
    """The API keys of all tenants. Every method raises Unavailable."""

    async def add(self, key: ApiKey) -> None:
        """Keep a new key. Raises Refused: the tenant has too many."""
        ...

    async def find(self, key_id: str) -> ApiKey | None:
        """Return the key, whichever tenant's; None: there is none, or it was removed."""
        ...

    async def of_tenant(self, tenant: str) -> Sequence[ApiKey]:
        """Return all keys of a tenant, the oldest first."""
        ...

    async def remove(self, tenant: str, key_id: str) -> None:
        """Remove a key, if it is there."""
        ...


class RevocationLog(Protocol):
    """What was taken back: read by every process, told by the doorbell. Every method raises Unavailable."""

    async def add(self, revocation: Revocation) -> None:
        """Record it; its `at` is set by the database's clock."""
        ...

    async def read(self, since: datetime | None) -> Sequence[Revocation]:
        """Return those of this time or later, the earliest first; None: all that still matter."""
        ...

"""The ports of authentication, and their guarantees."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from core.access.callers import Caller
from core.access.revocations import Revocation
from core.errors import Refusal
from core.roles import Role

API_KEYS = 1_000
"""How many API keys a tenant can have; simultaneous requests can exceed it by a few."""

UNKNOWN_API_KEY = Refusal("unknown_api_key", "absent", "there is no such API key", "list the API keys")
TOO_MANY_API_KEYS = Refusal(
    "too_many_api_keys", "conflict", "the tenant has the maximum number of API keys", "revoke one first"
)


class TokenVerifier(Protocol):
    """Verifies tokens that a trusted issuer has signed."""

    async def prepare(self, token: str) -> None:
        """Get the key of the token if it may be new, in bounded time; `verify` tells whether there is one."""
        ...

    def verify(self, token: str, now: datetime) -> Caller:
        """Return the token's caller. Raises Unauthenticated."""
        ...


class ApiKey(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A key that programs authenticate with. `digest`: the SHA-256 of its secret, which is not stored."""

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
        """Store a new key. Raises Refused if the tenant has too many."""
        ...

    async def find(self, key_id: str) -> ApiKey | None:
        """Return the key, of any tenant; None if there is none, or it was removed."""
        ...

    async def of_tenant(self, tenant: str) -> Sequence[ApiKey]:
        """Return all keys of a tenant, the oldest first."""
        ...

    async def remove(self, tenant: str, key_id: str) -> None:
        """Remove a key, if it is there."""
        ...


class RevocationLog(Protocol):
    """Records revocations; the doorbell announces them to every process. Every method raises Unavailable."""

    async def add(self, revocation: Revocation) -> None:
        """Record the revocation; the database's clock sets its `at`."""
        ...

    async def read(self, since: datetime | None) -> Sequence[Revocation]:
        """Return the revocations of this time or later, earliest first; None: all that still matter."""
        ...

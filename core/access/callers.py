"""The caller of a request."""

from datetime import datetime

import msgspec

from core.errors import Unauthenticated
from core.roles import ROLES, Role

DEFAULT_TENANT = "default"
ANONYMOUS = "anonymous"


class Caller(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A subject of a tenant, with roles.

    `issued_at`: when the token was issued (UTC); None: unknown. `expires_at`: when the token or API key
    expires (UTC); None: never. `key_id`: the API key used; None: a token, or no authentication.
    """

    tenant: str
    subject: str
    roles: frozenset[Role]
    issued_at: datetime | None = None
    expires_at: datetime | None = None
    key_id: str | None = None

    def has(self, roles: frozenset[Role]) -> bool:
        """Tell whether the caller has one of the roles."""
        return not self.roles.isdisjoint(roles)

    def check(self, now: datetime) -> None:
        """Raise Unauthenticated if the caller's token or API key has expired."""
        if self.expires_at is not None and now >= self.expires_at:
            raise Unauthenticated("expired", "the token has expired")


ANYONE = Caller(tenant=DEFAULT_TENANT, subject=ANONYMOUS, roles=ROLES)
"""The caller of every request where there is no authentication."""

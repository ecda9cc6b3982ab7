"""Who asks."""

from datetime import datetime

import msgspec

from core.errors import Unauthenticated
from core.roles import ROLES, Role

DEFAULT_TENANT = "default"
ANONYMOUS = "anonymous"


class Caller(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Who asks: a subject of a tenant, with roles.

    `expires_at`: until when that holds (UTC); None: for good. `issued_at`: since when, where it is told.
    `key_id`: the API key it was proven with; None: by a token, or not at all.
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
        """Raise Unauthenticated if the caller's time is over."""
        if self.expires_at is not None and now >= self.expires_at:
            raise Unauthenticated("expired", "the token has expired")


ANYONE = Caller(tenant=DEFAULT_TENANT, subject=ANONYMOUS, roles=ROLES)
"""Everybody, where there is no authentication."""

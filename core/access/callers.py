"""Who asks, and what each role may do."""

from datetime import datetime
from typing import Literal, get_args

import msgspec

from core.errors import Unauthenticated

Role = Literal["source", "operator", "viewer", "admin"]
ROLES: frozenset[Role] = frozenset(get_args(Role))

READERS: frozenset[Role] = frozenset({"operator", "viewer", "admin"})
REPORTERS: frozenset[Role] = frozenset({"source", "admin"})
OPERATORS: frozenset[Role] = frozenset({"operator", "admin"})
ADMINS: frozenset[Role] = frozenset({"admin"})

COMMAND_ROLES: dict[str, frozenset[Role]] = {
    "raise": REPORTERS,
    # By identity, as a device does; by id it is an operator's.
    "clear_by_identity": REPORTERS,
    "suppress": REPORTERS,
    "unsuppress": REPORTERS,
    "clear": OPERATORS,
    "acknowledge": OPERATORS,
    "confirm": OPERATORS,
    "reset": OPERATORS,
    "shelve": OPERATORS,
    "unshelve": OPERATORS,
    "remove_from_service": OPERATORS,
    "place_in_service": OPERATORS,
    "assign": OPERATORS,
    "unassign": OPERATORS,
    "comment": OPERATORS,
}
"""Who may give which command; what is not listed is for `admin` alone."""

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

    def may(self, command: str) -> bool:
        """Tell whether the caller may give the command, by its name."""
        return self.has(COMMAND_ROLES.get(command, ADMINS))

    def check(self, now: datetime) -> None:
        """Raise Unauthenticated if the caller's time is over."""
        if self.expires_at is not None and now >= self.expires_at:
            raise Unauthenticated("expired", "the token has expired")


ANYONE = Caller(tenant=DEFAULT_TENANT, subject=ANONYMOUS, roles=ROLES)
"""Everybody, where there is no authentication."""

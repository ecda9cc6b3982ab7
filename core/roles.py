"""The roles that callers have, and the groups of them that may do the same."""

from typing import Literal, get_args

Role = Literal["source", "operator", "viewer", "admin"]
Roles = frozenset[Role]

ROLES: Roles = frozenset(get_args(Role))

READERS: Roles = frozenset({"operator", "viewer", "admin"})
REPORTERS: Roles = frozenset({"source", "admin"})
OPERATORS: Roles = frozenset({"operator", "admin"})
ADMINS: Roles = frozenset({"admin"})

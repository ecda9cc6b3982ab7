"""The roles of callers, and the groups that share permissions."""

from typing import Literal, get_args

Role = Literal["source", "operator", "viewer", "admin"]
Roles = frozenset[Role]

ROLES: Roles = frozenset(get_args(Role))

READERS: Roles = frozenset({"operator", "viewer", "admin"})
REPORTERS: Roles = frozenset({"source", "admin"})
OPERATORS: Roles = frozenset({"operator", "admin"})
ADMINS: Roles = frozenset({"admin"})

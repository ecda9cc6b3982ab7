"""`tocsin token`: a token of this server's own secret."""

import re
from datetime import UTC, datetime, timedelta

from adapters.tokens.secret import SecretTokens
from core.access.callers import Caller
from core.errors import StartupRefused, Unauthenticated
from core.roles import ROLES

_LIFE = re.compile(r"([1-9][0-9]{0,8})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
LONGEST = timedelta(days=3650)


def minted(secret: str | None, subject: str, tenant: str, roles: frozenset[str], life: str) -> str:
    """Return a token. Raises StartupRefused: something it needs is missing or out of its bounds."""
    if secret is None:
        raise StartupRefused("tokens are signed with TOCSIN_AUTH_SECRET (or --auth-secret): set it")
    caller = Caller(tenant=tenant, subject=subject, roles=frozenset(role for role in ROLES if role in roles))
    try:
        return SecretTokens(secret).mint(caller, datetime.now(UTC), lifetime(life))
    except Unauthenticated as error:
        raise StartupRefused(error.detail) from error


def lifetime(text: str) -> timedelta:
    """Return what `90s`, `15m`, `1h`, `30d` stand for. Raises StartupRefused: it is nothing of the kind."""
    matched = _LIFE.fullmatch(text)
    life = timedelta(**{_UNITS[matched[2]]: int(matched[1])}) if matched else None
    if life is None or life > LONGEST:
        raise StartupRefused(f"a token holds for 1s to {LONGEST.days}d, such as 90s, 15m, 1h; not {text!r}")
    return life

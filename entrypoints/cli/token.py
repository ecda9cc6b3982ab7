"""`tocsin token`: signs a token with the server's own secret."""

import re
from datetime import timedelta
from enum import StrEnum
from typing import Annotated

import typer

from core.access.callers import DEFAULT_TENANT, Caller
from core.errors import StartupRefused, TocsinError
from core.roles import ROLES
from entrypoints.cli.parameters import Tenant
from entrypoints.cli.printing import out, write_line
from entrypoints.cli.runner import refused
from entrypoints.process.settings import Settings
from entrypoints.process.tokens import signed_token

TokenRole = StrEnum("TokenRole", sorted(ROLES))  # type: ignore[misc]

_LIFE = re.compile(r"([1-9][0-9]{0,8})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
LONGEST = timedelta(days=3650)


def token(
    settings: Settings,
    sub: Annotated[str, typer.Option(help="The subject: who the token is for.")],
    role: Annotated[list[TokenRole], typer.Option(help="A role; may be repeated.")],
    tenant: Tenant = DEFAULT_TENANT,
    ttl: Annotated[str, typer.Option(help="How long the token is valid: 90s, 15m, 1h, 30d.")] = "1h",
) -> None:
    """Print a token signed with TOCSIN_AUTH_SECRET, to try things out or for scripts."""
    roles = frozenset(each.value for each in role)
    try:
        write_line(out, minted(settings, sub, tenant, roles, ttl))
    except TocsinError as error:
        raise refused(error) from None


def minted(settings: Settings, subject: str, tenant: str, roles: frozenset[str], life: str) -> str:
    """Return a signed token. Raises StartupRefused: the secret is missing, or something is out of bounds."""
    caller = Caller(tenant=tenant, subject=subject, roles=frozenset(role for role in ROLES if role in roles))
    return signed_token(
        settings.auth_secret,
        caller,
        lifetime(life),
        issuer=settings.auth_issuer,
        audience=settings.auth_audience,
    )


def lifetime(text: str) -> timedelta:
    """Parse a duration such as `90s`, `15m`, `1h` or `30d`. Raises StartupRefused: the text is none."""
    matched = _LIFE.fullmatch(text)
    life = timedelta(**{_UNITS[matched[2]]: int(matched[1])}) if matched else None
    if life is None or life > LONGEST:
        raise StartupRefused(f"a token is valid for 1s to {LONGEST.days}d, such as 15m or 1h; not {text!r}")
    return life

"""`tocsin token`: a token of this server's own secret."""

import re
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated

import typer

from adapters.tokens.secret import SecretTokens
from core.access.callers import DEFAULT_TENANT, Caller
from core.errors import StartupRefused, TocsinError, Unauthenticated
from core.roles import ROLES
from entrypoints.cli.parameters import Tenant
from entrypoints.cli.printing import out, write_line
from entrypoints.cli.runner import refused
from entrypoints.process.settings import Settings

TokenRole = StrEnum("TokenRole", sorted(ROLES))  # type: ignore[misc]

_LIFE = re.compile(r"([1-9][0-9]{0,8})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
LONGEST = timedelta(days=3650)


def token(
    settings: Settings,
    sub: Annotated[str, typer.Option(help="Who it is for.")],
    role: Annotated[list[TokenRole], typer.Option(help="A role; may be given several times.")],
    tenant: Tenant = DEFAULT_TENANT,
    ttl: Annotated[str, typer.Option(help="How long it holds: 90s, 15m, 1h, 30d.")] = "1h",
) -> None:
    """Make a token signed with TOCSIN_AUTH_SECRET and print it: for trying things out, and for scripts."""
    roles = frozenset(each.value for each in role)
    try:
        write_line(out, minted(settings.auth_secret, sub, tenant, roles, ttl))
    except TocsinError as error:
        raise refused(error) from None


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

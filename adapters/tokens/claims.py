"""The claims that a token's payload must hold, and its period of validity."""

from datetime import UTC, datetime
from typing import Annotated, Any, get_args

import msgspec
from msgspec import Meta

from core.access.callers import Caller
from core.errors import Unauthenticated
from core.roles import Role

LEEWAY_SECONDS = 5
"""How far this server's clock may be behind the issuer's. It lengthens no token's life: `exp` is exact."""
NAME_LENGTH = 256
ROLES = 32
LATEST = datetime(9999, 12, 31, tzinfo=UTC).timestamp()

Name = Annotated[str, Meta(min_length=1, max_length=NAME_LENGTH)]
NumericDate = Annotated[float, Meta(ge=0)]


class Claims(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The claims that count (RFC 7519 §4.1, and Tocsin's own `tenant` and `roles`); others are ignored."""

    sub: Name
    tenant: Name
    roles: Annotated[list[str], Meta(max_length=ROLES)]
    exp: NumericDate
    nbf: NumericDate = 0
    iat: NumericDate | None = None
    iss: Any = None
    aud: Any = None

    def caller(self, now: datetime) -> Caller:
        """Return the token's caller. Raises Unauthenticated: it has expired, or is not valid yet."""
        caller = Caller(
            tenant=self.tenant,
            subject=self.sub,
            # An issuer may have roles that mean nothing here.
            roles=frozenset(role for role in get_args(Role) if role in self.roles),
            issued_at=None if self.iat is None else _time(self.iat),
            expires_at=_time(self.exp),
        )
        caller.check(now)
        latest = now.timestamp() + LEEWAY_SECONDS
        if self.nbf > latest or (self.iat is not None and self.iat > latest):
            raise Unauthenticated("token_invalid", "the token is not valid yet")
        return caller


class Meant(msgspec.Struct, frozen=True, kw_only=True):
    """Which issuer's tokens count, and for which audience they must be; "": any."""

    issuer: str = ""
    audience: str = ""

    def check(self, claims: Claims) -> None:
        """Raise Unauthenticated unless the token is of this issuer and for this audience."""
        if self.issuer and claims.iss != self.issuer:
            raise Unauthenticated("token_invalid", "the token is of another issuer (iss)")
        named = claims.aud if isinstance(claims.aud, list) else [claims.aud]
        if self.audience and self.audience not in named:
            raise Unauthenticated("token_invalid", "the token is for another audience (aud)")

    @property
    def claims(self) -> dict[str, str]:
        """The claims of a token that is meant so."""
        return {name: value for name, value in (("iss", self.issuer), ("aud", self.audience)) if value}


ANY = Meant()

_decoder = msgspec.json.Decoder(Claims)


def claims_of(payload: bytes, meant: Meant = ANY) -> Claims:
    """Decode a payload whose signature was verified. Raises Unauthenticated, naming the error."""
    try:
        claims = _decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unauthenticated("token_invalid", f"the token's claims: {error}") from None
    meant.check(claims)
    return claims


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(min(seconds, LATEST), UTC)

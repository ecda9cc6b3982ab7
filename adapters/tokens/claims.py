"""What a token's payload must hold, and when it holds."""

from datetime import UTC, datetime
from typing import Annotated, get_args

import msgspec
from msgspec import Meta

from core.access.callers import Caller
from core.errors import Unauthenticated
from core.roles import Role

LEEWAY_SECONDS = 5
"""How far our clock may be behind the issuer's. A token's life is not lengthened by it: `exp` is exact."""
NAME_LENGTH = 256
ROLES = 32
LATEST = datetime(9999, 12, 31, tzinfo=UTC).timestamp()

Name = Annotated[str, Meta(min_length=1, max_length=NAME_LENGTH)]
NumericDate = Annotated[float, Meta(ge=0)]


class Claims(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The claims that count (RFC 7519 §4.1, and our own `tenant` and `roles`); others are ignored."""

    sub: Name
    tenant: Name
    roles: Annotated[list[str], Meta(max_length=ROLES)]
    exp: NumericDate
    nbf: NumericDate = 0
    iat: NumericDate | None = None

    def caller(self, now: datetime) -> Caller:
        """Return who it is. Raises Unauthenticated: it is over, or has not begun."""
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


_decoder = msgspec.json.Decoder(Claims)


def claims_of(payload: bytes) -> Claims:
    """Decode a payload whose signature was found right. Raises Unauthenticated, naming what is wrong."""
    try:
        return _decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unauthenticated("token_invalid", f"the token's claims: {error}") from None


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(min(seconds, LATEST), UTC)

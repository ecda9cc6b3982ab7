"""HS256: tokens signed with a secret that the issuer and this server share."""

from datetime import datetime, timedelta

import jwt
import msgspec

from adapters.tokens.claims import claims_of
from adapters.tokens.signature import verified
from core.access.callers import Caller
from core.errors import StartupRefused

SECRET_BYTES = 32
"""As many as the hash has (RFC 7518 §3.2): a shorter secret can be guessed from one token."""


class SecretTokens:
    """Tokens of one secret (see core.access.ports.TokenVerifier). Raises StartupRefused: it is too short."""

    def __init__(self, secret: str) -> None:
        if len(secret.encode()) < SECRET_BYTES:
            raise StartupRefused(f"the authentication secret must have at least {SECRET_BYTES} bytes")
        self._secret = secret.encode()

    def verify(self, token: str, now: datetime) -> Caller:
        """Return who the token was made for. Raises Unauthenticated."""
        return claims_of(verified(token, self._secret, "HS256")).caller(now)

    def mint(self, caller: Caller, now: datetime, life: timedelta) -> str:
        """Return a token for the caller that holds so long."""
        claims = {
            "sub": caller.subject,
            "tenant": caller.tenant,
            "roles": sorted(caller.roles),
            "iat": int(now.timestamp()),
            "exp": int((now + life).timestamp()),
        }
        token = jwt.api_jws.encode(msgspec.json.encode(claims), self._secret, "HS256")
        # It would be refused here just as well, only later: bounds of names, for instance.
        self.verify(token, now)
        return token

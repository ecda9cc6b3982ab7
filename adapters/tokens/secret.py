"""HS256: tokens signed with a secret that the issuer and this server share."""

from datetime import datetime, timedelta

import jwt
import msgspec

from adapters.tokens.claims import ANY, Meant, claims_of
from adapters.tokens.signature import verified
from core.access.callers import Caller
from core.errors import StartupRefused

SECRET_BYTES = 32
"""As many as the hash has (RFC 7518 §3.2): a shorter secret can be guessed from one token."""


class SecretTokens:
    """Mints and verifies tokens by a secret (see core.access.ports.TokenVerifier).

    Raises:
        StartupRefused: the secret is too short.
    """

    def __init__(self, secret: str, meant: Meant = ANY) -> None:
        if len(secret.encode()) < SECRET_BYTES:
            raise StartupRefused(f"the authentication secret must have at least {SECRET_BYTES} bytes")
        self._secret = secret.encode()
        self._meant = meant

    async def prepare(self, _: str) -> None:
        """Do nothing: the secret stays."""

    def verify(self, token: str, now: datetime) -> Caller:
        """Return the token's caller. Raises Unauthenticated."""
        return claims_of(verified(token, self._secret, "HS256"), self._meant).caller(now)

    def mint(self, caller: Caller, now: datetime, life: timedelta) -> str:
        """Return a token for the caller, valid for `life`."""
        claims = {
            **self._meant.claims,
            "sub": caller.subject,
            "tenant": caller.tenant,
            "roles": sorted(caller.roles),
            "iat": int(now.timestamp()),
            "exp": int((now + life).timestamp()),
        }
        token = jwt.api_jws.encode(msgspec.json.encode(claims), self._secret, "HS256")
        # Refuse now what `verify` would refuse later: too long a name, for instance.
        self.verify(token, now)
        return token

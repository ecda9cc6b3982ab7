"""Chooses what verifies callers' tokens, and signs tokens with the server's own secret."""

from datetime import timedelta
from pathlib import Path

from adapters.tokens.keys import KeySetTokens
from adapters.tokens.secret import SecretTokens
from core.access.callers import Caller
from core.access.ports import TokenVerifier
from core.errors import StartupRefused, Unauthenticated
from entrypoints.process.host import MACHINE


def token_verifier(secret: str | None, jwks: Path | None) -> TokenVerifier | None:
    """Return the verifier of tokens; None: none is configured. Raises StartupRefused: it is unusable."""
    if secret is not None:
        return SecretTokens(secret)
    return None if jwks is None else KeySetTokens(jwks)


def signed_token(secret: str | None, caller: Caller, life: timedelta) -> str:
    """Return a token for the caller, valid for `life` from now.

    Raises:
        StartupRefused: the secret is missing or too short, or the caller is out of bounds.
    """
    if secret is None:
        raise StartupRefused("tokens are signed with TOCSIN_AUTH_SECRET (or --auth-secret): set it")
    try:
        return SecretTokens(secret).mint(caller, MACHINE.clock.now(), life)
    except Unauthenticated as error:
        raise StartupRefused(error.detail) from error

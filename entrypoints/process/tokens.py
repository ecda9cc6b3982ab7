"""Chooses what verifies callers' tokens, and signs tokens with the server's own secret."""

from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from adapters.tokens.claims import ANY, Meant
from adapters.tokens.key_sources import KeyAddress, KeyFile
from adapters.tokens.keys import KeySetTokens
from adapters.tokens.secret import SecretTokens
from core.access.callers import Caller
from core.access.ports import TokenVerifier
from core.errors import StartupRefused, Unauthenticated
from entrypoints.http.loopback import is_loopback
from entrypoints.process.host import MACHINE


def token_verifier(secret: str | None, jwks: str | None, meant: Meant = ANY) -> TokenVerifier | None:
    """Return the verifier of tokens; None: none is configured. Raises StartupRefused: it is unusable."""
    if secret is not None:
        return SecretTokens(secret, meant)
    if jwks is None:
        return None
    if "://" in jwks:
        return KeySetTokens(KeyAddress(_checked(jwks)), meant=meant)
    file = KeyFile(Path(jwks))
    return KeySetTokens(file, file.first, meant)


def _checked(url: str) -> str:
    """Return the address of a key set. Raises StartupRefused unless nobody on the way can change the keys."""
    try:
        parts = urlsplit(url)
        safe = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
    except ValueError:
        safe = False
    if not safe:
        raise StartupRefused("TOCSIN_AUTH_JWKS must be a file, an https address, or an http one on loopback")
    return url


def signed_token(
    secret: str | None, caller: Caller, life: timedelta, *, issuer: str = "", audience: str = ""
) -> str:
    """Return a token for the caller, valid for `life` from now.

    Raises:
        StartupRefused: the secret is missing or too short, or the caller is out of bounds.
    """
    if secret is None:
        raise StartupRefused("tokens are signed with TOCSIN_AUTH_SECRET (or --auth-secret): set it")
    try:
        return SecretTokens(secret, Meant(issuer=issuer, audience=audience)).mint(
            caller, MACHINE.clock.now(), life
        )
    except Unauthenticated as error:
        raise StartupRefused(error.detail) from error

"""RS256 and ES256: tokens of an issuer whose public keys are in a JWKS file (RFC 7517)."""

import logging
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWK

from adapters.tokens.claims import claims_of
from adapters.tokens.signature import header, verified
from core.access.callers import Caller
from core.errors import StartupRefused, Unauthenticated

logger = logging.getLogger("tocsin.tokens")

REREAD_SECONDS = 60.0
"""How long after a read the file is left alone, whatever keys tokens name."""
FILE_BYTES = 1024 * 1024
RSA_BITS = 2048
"""The least that RS256 takes (RFC 7518 §3.3)."""

Keys = dict[str | None, tuple[PyJWK, str]]


class _Unusable(Exception):
    """The file has no key that tokens could be verified with."""


class KeySetTokens:
    """Tokens of the keys in a file (see core.access.ports.TokenVerifier).

    The file is read again for a key that it did not have.

    Raises:
        StartupRefused: there is no usable key in it.
    """

    def __init__(self, file: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._file = file
        self._clock = clock
        try:
            self._keys = _read(file)
        except _Unusable as error:
            raise StartupRefused(f"the JWKS file {file} cannot be used: {error}") from error
        self._read_at = clock()

    def verify(self, token: str, now: datetime) -> Caller:
        """Return who the token was made for. Raises Unauthenticated."""
        key, algorithm = self._key(header(token).get("kid"))
        return claims_of(verified(token, key, algorithm)).caller(now)

    def _key(self, kid: str | None) -> tuple[PyJWK, str]:
        found = self._find(kid)
        if found is None and self._clock() - self._read_at >= REREAD_SECONDS:
            self._reread()
            found = self._find(kid)
        if found is None:
            raise Unauthenticated("token_invalid", "the token's key (kid) is not known")
        return found

    def _find(self, kid: str | None) -> tuple[PyJWK, str] | None:
        if kid is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(kid)

    def _reread(self) -> None:
        self._read_at = self._clock()
        try:
            self._keys = _read(self._file)
        except _Unusable as error:
            logger.error("the JWKS file %s: %s; its keys of before are kept", self._file, error)  # noqa: TRY400 (the message tells all)


def _read(file: Path) -> Keys:
    try:
        with file.open("rb") as opened:
            raw = opened.read(FILE_BYTES + 1)
        if len(raw) > FILE_BYTES:
            raise _Unusable(f"it has more than {FILE_BYTES} bytes")
        listed = msgspec.json.decode(raw, type=dict[str, Any])["keys"]
        keys = _usable(msgspec.convert(listed, list[dict[str, Any]]))
    except OSError as error:
        raise _Unusable(error.strerror or "it cannot be read") from error
    except (msgspec.MsgspecError, UnicodeDecodeError, KeyError, RecursionError) as error:
        raise _Unusable("it is not a JSON object with a list of `keys`") from error
    if not keys:
        raise _Unusable(f"no key for RS256 (of {RSA_BITS} bits or more) or ES256 is in it")
    return keys


def _usable(listed: list[dict[str, Any]]) -> Keys:
    """Return the public keys by their kid; a symmetric one would be open to all who can read the file."""
    keys: Keys = {}
    for each in listed:
        algorithm = {"RSA": "RS256", "EC": "ES256"}.get(str(each.get("kty")))
        if algorithm is None or each.get("alg", algorithm) != algorithm or each.get("use", "sig") != "sig":
            continue
        try:
            key = PyJWK(each, algorithm)
        except (jwt.PyJWTError, ValueError, TypeError, KeyError):
            logger.warning("a key of the JWKS file is malformed: kid %r", each.get("kid"))
            continue
        if _fits(key):
            keys[each.get("kid")] = (key, algorithm)
        else:
            logger.warning("a key of the JWKS file is too weak, or private: kid %r", each.get("kid"))
    return keys


def _fits(key: PyJWK) -> bool:
    public = key.key
    if isinstance(public, RSAPublicKey):
        return public.key_size >= RSA_BITS
    return isinstance(public, EllipticCurvePublicKey) and public.curve.name == "secp256r1"

"""Reads the public keys of a key set (JWKS, RFC 7517) that can verify tokens."""

import logging
from typing import Any

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWK

from core.errors import TocsinError

logger = logging.getLogger("tocsin.tokens")

KEY_SET_BYTES = 1024 * 1024
RSA_BITS = 2048
"""The least that RS256 takes (RFC 7518 §3.3)."""

Keys = dict[str | None, tuple[PyJWK, str]]
"""Public keys and their algorithms, by kid."""


class UnusableKeySet(TocsinError):
    """The key set cannot be read, or has no key that can verify tokens."""


def keys_of(raw: bytes) -> Keys:
    """Return the keys of a key set. Raises UnusableKeySet."""
    if len(raw) > KEY_SET_BYTES:
        raise UnusableKeySet(f"it has more than {KEY_SET_BYTES} bytes")
    try:
        listed = msgspec.json.decode(raw, type=dict[str, Any])["keys"]
        keys = _usable(msgspec.convert(listed, list[dict[str, Any]]))
    except (msgspec.MsgspecError, UnicodeDecodeError, KeyError, RecursionError) as error:
        raise UnusableKeySet("it is not a JSON object with a list of `keys`") from error
    if not keys:
        raise UnusableKeySet(f"it has no key for RS256 (of {RSA_BITS} bits or more) or ES256")
    return keys


def _usable(listed: list[dict[str, Any]]) -> Keys:
    """Return the public keys by kid; every reader of the set could mint tokens with a symmetric key."""
    keys: Keys = {}
    for each in listed:
        algorithm = {"RSA": "RS256", "EC": "ES256"}.get(str(each.get("kty")))
        if algorithm is None or each.get("alg", algorithm) != algorithm or each.get("use", "sig") != "sig":
            continue
        try:
            key = PyJWK(each, algorithm)
        except (jwt.PyJWTError, ValueError, TypeError, KeyError):
            logger.warning("a key of the JWKS is malformed: kid %r", each.get("kid"))
            continue
        if _fits(key):
            keys[each.get("kid")] = (key, algorithm)
        else:
            logger.warning("a key of the JWKS is too weak, or private: kid %r", each.get("kid"))
    return keys


def _fits(key: PyJWK) -> bool:
    public = key.key
    if isinstance(public, RSAPublicKey):
        return public.key_size >= RSA_BITS
    return isinstance(public, EllipticCurvePublicKey) and public.curve.name == "secp256r1"

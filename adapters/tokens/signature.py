"""Verifies a token's signature (JWS, RFC 7515) by the key's algorithm, whatever the token names."""

from typing import Any

import jwt
from jwt import PyJWK

from core.errors import Unauthenticated

TOKEN_BYTES = 16 * 1024


def header(token: str) -> dict[str, Any]:
    """Return the header, unverified. Raises Unauthenticated: it is not a token."""
    if len(token) > TOKEN_BYTES:
        raise Unauthenticated("token_invalid", f"a token has at most {TOKEN_BYTES} bytes")
    try:
        return jwt.get_unverified_header(token)
    except (jwt.PyJWTError, UnicodeError, RecursionError):
        raise Unauthenticated("token_invalid", "this is neither a token nor an API key") from None


def verified(token: str, key: bytes | PyJWK, algorithm: str) -> bytes:
    """Verify the signature and return the payload. Raises Unauthenticated."""
    named = header(token).get("alg")
    if named != algorithm:
        raise Unauthenticated("token_invalid", f"the token must be signed with {algorithm}")
    try:
        payload: bytes = jwt.api_jws.decode_complete(token, key, [algorithm])["payload"]
    except (jwt.PyJWTError, UnicodeError, ValueError, TypeError):
        raise Unauthenticated("token_invalid", "the token's signature is wrong") from None
    return payload

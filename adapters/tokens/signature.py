"""The signature of a token (JWS, RFC 7515), by one algorithm that the key is for, whatever the token says."""

from typing import Any

import jwt
from jwt import PyJWK

from core.errors import Unauthenticated

TOKEN_BYTES = 16 * 1024


def header(token: str) -> dict[str, Any]:
    """Return the header, unverified. Raises Unauthenticated: it is no token."""
    if len(token) > TOKEN_BYTES:
        raise Unauthenticated("token_invalid", f"a token has at most {TOKEN_BYTES} bytes")
    try:
        return jwt.get_unverified_header(token)
    except (jwt.PyJWTError, UnicodeError, RecursionError):
        raise Unauthenticated("token_invalid", "this is neither a token nor an API key") from None


def verified(token: str, key: bytes | PyJWK, algorithm: str) -> bytes:
    """Return the payload, once the signature was found right. Raises Unauthenticated."""
    named = header(token).get("alg")
    if named != algorithm:
        raise Unauthenticated("token_invalid", f"the token must be signed with {algorithm}")
    try:
        payload: bytes = jwt.api_jws.decode_complete(token, key, [algorithm])["payload"]
    except (jwt.PyJWTError, UnicodeError, ValueError, TypeError):
        raise Unauthenticated("token_invalid", "the token's signature is wrong") from None
    return payload

"""Tokens for the tests, right ones and wrong ones, made without the code under test."""

import base64
import hashlib
import hmac
import json
import time
from typing import Any

SECRET = "a secret of the tests, of 32 bytes"


def encoded(data: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def claims(
    sub: str = "ann", tenant: str = "default", roles: tuple[str, ...] = ("operator",), seconds: float = 3600
) -> dict[str, Any]:
    """Return claims that hold so long from now."""
    now = time.time()
    return {"sub": sub, "tenant": tenant, "roles": list(roles), "exp": now + seconds, "iat": int(now)}


def signed(content: Any, secret: bytes = SECRET.encode(), header: dict[str, Any] | None = None) -> str:
    """Return a token of these claims, signed with HS256 whatever its header says."""
    first = encoded(json.dumps(header or {"alg": "HS256", "typ": "JWT"}).encode())
    body = f"{first}.{encoded(json.dumps(content).encode())}"
    return f"{body}.{encoded(hmac.digest(secret, body.encode(), hashlib.sha256))}"


def token(
    sub: str = "ann", tenant: str = "default", roles: tuple[str, ...] = ("operator",), seconds: float = 3600
) -> str:
    """Return a token of SECRET."""
    return signed(claims(sub, tenant, roles, seconds))


def bearing(credential: str) -> dict[str, str]:
    """Return the header that carries a token or an API key."""
    return {"Authorization": f"Bearer {credential}"}

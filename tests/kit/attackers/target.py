"""What an attacker knows of its victim: a port on loopback, and the token of somebody of a tenant."""

from dataclasses import dataclass
from functools import cache

from tests.kit.tokens import bearing, token

WIDE = ("viewer", "operator", "source")
"""The roles of an attacker: all but the administrator's."""


@dataclass(frozen=True)
class Target:
    """One process; without authentication no token is shown to it."""

    port: int
    tenant: str = "default"
    authenticated: bool = True

    @property
    def token(self) -> str:
        """The attacker's token."""
        return _token(self.tenant)

    def credentials(self) -> dict[str, str]:
        """Return the header that says who asks."""
        return bearing(self.token) if self.authenticated else {}

    def head(self, method: str, path: str, *fields: str) -> bytes:
        """Return the first line and the fields of a request, without the empty line at their end."""
        own = [f"{name}: {value}" for name, value in self.credentials().items()]
        lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *own, *fields, ""]
        return "\r\n".join(lines).encode()

    def get(self, path: str, *fields: str) -> bytes:
        """Return a whole request without a body."""
        return self.head("GET", path, *fields) + b"\r\n"

    def post(self, path: str, body: bytes) -> bytes:
        """Return a whole request with a body of JSON."""
        length = f"Content-Length: {len(body)}"
        return self.head("POST", path, "Content-Type: application/json", length) + b"\r\n" + body


@cache
def _token(tenant: str) -> str:
    return token("mallory", tenant, WIDE)

"""The settings of a process, each an environment variable and a flag (design: configuration)."""

from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Literal

from core.delivery.limits import Limits
from core.errors import StartupRefused

FeedChoice = Literal["auto", "changestream", "local", "redis"]
"""Which doorbell to use; auto: changestream on a replica set, local on a standalone mongod."""

Role = Literal["all", "api", "worker"]
"""What a process does: serve clients, run the worker tasks under their leases, or both."""

PING_SECONDS = 20.0
"""How often a WebSocket is pinged, and how long its client may take to answer."""
DRAIN_SECONDS = 5.0
"""How long an ending process takes to send its clients away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a process needs to know to start."""

    mongodb_uri: str
    database: str = "tocsin"
    host: str = "127.0.0.1"
    port: int = 8080
    allowed_origins: tuple[str, ...] = ()
    role: Role = "all"
    feed: FeedChoice = "auto"
    redis_url: str | None = None
    limits: Limits = field(default_factory=Limits)
    ping_seconds: float = PING_SECONDS
    drain_seconds: float = DRAIN_SECONDS
    auth_secret: str | None = field(default=None, repr=False)
    auth_jwks: Path | None = None
    command_rate: float = 0.0
    pagerduty_keys: str = ""
    webhook_allow: tuple[str, ...] = ()
    webhooks_file: Path | None = None
    log_requests: bool = False
    traces: bool = False
    shared_port: bool = False

    @property
    def authenticated(self) -> bool:
        """Whether callers have to prove who they are."""
        return self.auth_secret is not None or self.auth_jwks is not None

    def check(self) -> None:
        """Raise StartupRefused where the settings would be unsafe."""
        if not is_loopback(self.host) and not self.authenticated:
            raise StartupRefused(
                f"refusing to listen on {self.host} without authentication: anybody there could command the"
                " alarms; listen on 127.0.0.1, or set TOCSIN_AUTH_SECRET or TOCSIN_AUTH_JWKS"
            )
        if self.auth_secret is not None and self.auth_jwks is not None:
            raise StartupRefused(
                "set TOCSIN_AUTH_SECRET or TOCSIN_AUTH_JWKS, not both: one issuer is trusted"
            )


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False

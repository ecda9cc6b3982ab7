"""The settings of a process, each an environment variable and a flag (design: configuration)."""

from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Literal

from core.errors import StartupRefused

FeedChoice = Literal["auto", "changestream", "local", "redis"]
"""Which doorbell to use; auto: changestream on a replica set, local on a standalone mongod."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a process needs to know to start."""

    mongodb_uri: str
    database: str = "tocsin"
    host: str = "127.0.0.1"
    port: int = 8080
    allowed_origins: tuple[str, ...] = ()
    feed: FeedChoice = "auto"
    redis_url: str | None = None
    webhook_allow: tuple[str, ...] = ()
    webhooks_file: Path | None = None

    def check(self) -> None:
        """Raise StartupRefused where the settings would be unsafe."""
        if not is_loopback(self.host):
            raise StartupRefused(
                f"refusing to listen on {self.host} without authentication: anybody there could command the"
                " alarms; listen on 127.0.0.1"
            )


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False

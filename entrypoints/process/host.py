"""What the machine tells: the time, ids that are unique, the name of this process."""

import os
import socket
from datetime import UTC, datetime

import uuid_utils


def now() -> datetime:
    """The service's clock, UTC."""
    return datetime.now(UTC)


def new_event_id() -> str:
    """Mint an event id: UUIDv7 (RFC 9562)."""
    return str(uuid_utils.uuid7())


def holder() -> str:
    """Name this process as the holder of leases."""
    return f"{socket.gethostname()}:{os.getpid()}"

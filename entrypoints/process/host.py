"""The machine's clock, ids, secrets and chance, and this process's name."""

import asyncio
import os
import random
import secrets
import socket
from datetime import UTC, datetime

import uuid_utils

from core.host import Host

SLEEP_SECONDS = 60.0
"""The longest sleep: meanwhile the clock may be set, or the machine suspended."""
SECRET_BYTES = 32


class MachineClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the time in UTC."""
        return datetime.now(UTC)

    async def sleep_until(self, moment: datetime | None) -> None:
        """Return when the moment has come, or after SLEEP_SECONDS."""
        left = SLEEP_SECONDS if moment is None else (moment - self.now()).total_seconds()
        await asyncio.sleep(min(SLEEP_SECONDS, max(0.0, left)))


class MachineIds:
    """Ids from the machine's clock and randomness, secrets from its cryptographic randomness."""

    def new(self) -> str:
        """Mint a UUIDv7 (RFC 9562)."""
        return str(uuid_utils.uuid7())

    def secret(self) -> bytes:
        """Draw 32 bytes."""
        return secrets.token_bytes(SECRET_BYTES)


MACHINE = Host(MachineClock(), MachineIds(), random.random)


_START = secrets.token_hex(4)


def holder() -> str:
    """Return this process's name as a holder of leases, `host:pid:start`: no other start has it.

    Containers that share the host's network may share its name, and each have a process 1.
    """
    return f"{socket.gethostname()}:{os.getpid()}:{_START}"

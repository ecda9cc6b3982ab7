"""What the machine tells: the time, ids that are unique, chance, the name of this process."""

import asyncio
import os
import random
import secrets
import socket
from datetime import UTC, datetime

import uuid_utils

from core.host import Host

SLEEP_SECONDS = 60.0
"""The longest sleep: the clock may have been set, or the machine suspended, meanwhile."""
SECRET_BYTES = 32


class MachineClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the time, UTC."""
        return datetime.now(UTC)

    async def sleep_until(self, moment: datetime | None) -> None:
        """Return when the moment has come, or after SLEEP_SECONDS."""
        left = SLEEP_SECONDS if moment is None else (moment - self.now()).total_seconds()
        await asyncio.sleep(min(SLEEP_SECONDS, max(0.0, left)))


class MachineIds:
    """Ids by the machine's clock and randomness, secrets by the randomness that is fit for them."""

    def new(self) -> str:
        """Mint a UUIDv7 (RFC 9562)."""
        return str(uuid_utils.uuid7())

    def secret(self) -> bytes:
        """Draw 32 bytes."""
        return secrets.token_bytes(SECRET_BYTES)


MACHINE = Host(MachineClock(), MachineIds(), random.random)


def holder() -> str:
    """Name this process as the holder of leases."""
    return f"{socket.gethostname()}:{os.getpid()}"

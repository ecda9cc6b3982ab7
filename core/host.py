"""Clock, ids and chance: core gets them handed in and never asks the machine for them."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time (UTC) and waits for a moment."""

    def now(self) -> datetime:
        """Return the time, UTC."""
        ...

    async def sleep_until(self, moment: datetime | None) -> None:
        """Wait until the moment; may return early, so check again. For None, return after some time."""
        ...


class Ids(Protocol):
    """Makes unique ids and secrets."""

    def new(self) -> str:
        """Mint an id that nothing else has: a UUIDv7 (RFC 9562)."""
        ...

    def secret(self) -> bytes:
        """Draw 32 bytes that nobody can guess."""
        ...


Chance = Callable[[], float]
"""Draws a random number in [0, 1), to spread retries and timers; never use it for secrets."""


@dataclass(frozen=True, slots=True)
class Host:
    """The clock, ids and chance together."""

    clock: Clock
    ids: Ids
    chance: Chance

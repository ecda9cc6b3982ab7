"""What core is handed of the machine it runs on, since it asks for none of it: the time, ids, chance."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """The time, UTC, and waiting for it."""

    def now(self) -> datetime:
        """Return the time, UTC."""
        ...

    async def sleep_until(self, moment: datetime | None) -> None:
        """Return when the moment has come, or earlier: look again. For None return after some time."""
        ...


class Ids(Protocol):
    """What must be unique, and what must be secret."""

    def new(self) -> str:
        """Mint an id that nothing else has: a UUIDv7 (RFC 9562)."""
        ...

    def secret(self) -> bytes:
        """Draw 32 bytes that nobody can guess."""
        ...


Chance = Callable[[], float]
"""Draws a number in [0, 1). It spreads what would happen all at once, and is never a secret."""


@dataclass(frozen=True, slots=True)
class Host:
    """All three, for a part that needs all three."""

    clock: Clock
    ids: Ids
    chance: Chance

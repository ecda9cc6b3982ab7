"""Revocations in memory, for tests."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from msgspec.structs import replace

from core.access.revocations import Revocation


class MemoryRevocations:
    """The revocations (see core.access.ports.RevocationLog) in a list; `told` is called after each."""

    def __init__(self, told: Callable[[], None] = lambda: None) -> None:
        self._rows: list[Revocation] = []
        self._told = told

    async def add(self, revocation: Revocation) -> None:
        """Record it; its `at` is set by the clock here."""
        self._rows.append(replace(revocation, at=datetime.now(UTC)))
        self._told()

    async def read(self, since: datetime | None) -> Sequence[Revocation]:
        """Return those of this time or later, the earliest first; None: all that still matter."""
        return [row for row in self._rows if since is None or row.at >= since]

"""Revocations in memory, for tests."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from msgspec.structs import replace

from core.access.revocations import Revocation


class MemoryRevocations:
    """The revocations (see core.access.ports.RevocationLog) in a list; `told` is called after each `add`."""

    def __init__(self, told: Callable[[], None] = lambda: None) -> None:
        self._rows: list[Revocation] = []
        self._told = told

    async def add(self, revocation: Revocation) -> None:
        """Record the revocation; its `at` becomes the present time."""
        self._rows.append(replace(revocation, at=datetime.now(UTC)))
        self._told()

    async def read(self, since: datetime | None) -> Sequence[Revocation]:
        """Return the revocations from `since` on, the earliest first; None: all that are kept."""
        return [row for row in self._rows if since is None or row.at >= since]

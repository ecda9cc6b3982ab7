"""Places for snapshots: each keeps a page of the alarm list in memory until its client has it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

SUBJECT_SNAPSHOTS = 16
"""How many snapshots one subject's sessions get at once in a process; further ones wait for their turn."""


class _Places:
    """The places of one subject, and how many of its snapshots have or want one."""

    def __init__(self, most: int) -> None:
        self.free = asyncio.Semaphore(most)
        self.users = 0


class SnapshotPlaces:
    """Gives out places by subject, so that one who opens many sessions delays nobody else."""

    def __init__(self, most: int = SUBJECT_SNAPSHOTS) -> None:
        self._most = most
        self._subjects: dict[tuple[str, str], _Places] = {}

    def __len__(self) -> int:
        return len(self._subjects)

    @asynccontextmanager
    async def taken(self, tenant: str, subject: str) -> AsyncIterator[None]:
        """Wait for one of the subject's places, and keep it for as long as the context lasts."""
        key = tenant, subject
        places = self._subjects.setdefault(key, _Places(self._most))
        places.users += 1
        try:
            async with places.free:
                yield
        finally:
            places.users -= 1
            if not places.users:
                del self._subjects[key]

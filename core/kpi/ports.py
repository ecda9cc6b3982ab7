"""The port of the key figures' buckets."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Protocol

from core.kpi.bucket import Bucket

BucketKey = tuple[str, datetime]
"""A bucket's tenant and start."""


class KpiBuckets(Protocol):
    """Stores buckets by generation: a rebuild fills the next one beside the one being read.

    Every method raises Unavailable.
    """

    async def load(self, generation: int, keys: Sequence[BucketKey]) -> dict[BucketKey, Bucket]:
        """Return the stored buckets among `keys`."""
        ...

    async def write(self, generation: int, buckets: Sequence[Bucket]) -> None:
        """Replace each bucket whole, unless the stored one is at this position or a later one."""
        ...

    def period(
        self, generation: int, tenant: str, start: datetime, end: datetime
    ) -> AsyncIterator[Sequence[Bucket]]:
        """Yield a tenant's buckets that start in the period, in pages, in order."""
        ...

    async def drop(self, before: int) -> None:
        """Remove all generations before this one; nobody will read them again."""
        ...

    async def clear(self, generation: int) -> None:
        """Remove the buckets of one generation."""
        ...

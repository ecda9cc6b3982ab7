"""The buckets of activity in memory, for tests."""

from collections.abc import AsyncIterator, Sequence
from copy import deepcopy
from datetime import datetime

from core.kpi.bucket import Bucket
from core.kpi.ports import BucketKey


class MemoryKpiBuckets:
    """The buckets (see core.kpi.ports.KpiBuckets) in a dict."""

    def __init__(self) -> None:
        self.kept: dict[tuple[int, str, datetime], Bucket] = {}

    async def load(self, generation: int, keys: Sequence[BucketKey]) -> dict[BucketKey, Bucket]:
        """Return the buckets that exist."""
        found = {key: self.kept.get((generation, *key)) for key in keys}
        return {key: deepcopy(bucket) for key, bucket in found.items() if bucket is not None}

    async def write(self, generation: int, buckets: Sequence[Bucket]) -> None:
        """Write the buckets; a stored bucket at the same position or a later one stays."""
        for bucket in buckets:
            key = (generation, bucket.tenant, bucket.start)
            known = self.kept.get(key)
            if known is None or known.position < bucket.position:
                self.kept[key] = deepcopy(bucket)

    async def period(
        self, generation: int, tenant: str, start: datetime, end: datetime
    ) -> AsyncIterator[Sequence[Bucket]]:
        """Yield a tenant's buckets that start in the period, in order."""
        for key in sorted(self.kept):
            if key[:2] == (generation, tenant) and start <= key[2] < end:
                yield [deepcopy(self.kept[key])]

    async def drop(self, before: int) -> None:
        """Remove the buckets of all generations before this one."""
        self.kept = {key: bucket for key, bucket in self.kept.items() if key[0] >= before}

    async def clear(self, generation: int) -> None:
        """Remove the buckets of one generation."""
        self.kept = {key: bucket for key, bucket in self.kept.items() if key[0] != generation}

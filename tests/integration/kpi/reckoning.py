"""The buckets of events, and the key figures that they come to."""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import timedelta

from adapters.memory.kpis import MemoryKpiBuckets
from core.alarm.events import Event
from core.kpi.bucket import Bucket
from core.kpi.bucket_keeper import BucketKeeper
from core.kpi.figures import Figures, figures
from tests.kit.history import BEGINNING, Shift


async def projected(batches: Iterable[Sequence[Event]]) -> list[Bucket]:
    kept = MemoryKpiBuckets()
    keeper = BucketKeeper(kept)
    for events in batches:
        await keeper.write(0, events)
    return sorted(kept.kept.values(), key=lambda bucket: bucket.start)


def of(events: Sequence[Event]) -> list[Bucket]:
    return asyncio.run(projected([events]))


def whole(made: Shift, hours: int = 1) -> Figures:
    return figures(of(made.events), BEGINNING, BEGINNING + timedelta(hours=hours))


def value(found: Figures, name: str) -> float | None:
    return next(kpi.value for kpi in found.kpis if kpi.name == name)

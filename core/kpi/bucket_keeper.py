"""Projects events into buckets: adds the events that a bucket lacks, and writes it whole."""

from collections.abc import Awaitable, Callable, Sequence

from core.alarm.events import Event
from core.kpi.activity import Activity, activity_of
from core.kpi.bucket import BUCKET, Bucket, following, start_of
from core.kpi.ports import BucketKey, KpiBuckets

Load = Callable[[Sequence[BucketKey]], Awaitable[dict[BucketKey, Bucket]]]


async def buckets_after(events: Sequence[Event], load: Load) -> list[Bucket]:
    """Return the buckets that the events change, brought up to the last event.

    Events may come again: a bucket skips those at or below its position.

    Raises:
        UnknownEvent: a newer version wrote an event.
        Unavailable: a bucket cannot be loaded.
    """
    counted = [(event.position, activity) for event in events if (activity := activity_of(event)) is not None]
    keys = dict.fromkeys(_key(activity) for _, activity in counted)
    buckets = await load([*keys])
    earlier = {key: (key[0], key[1] - BUCKET) for key in keys if key not in buckets}
    buckets |= await load([key for key in earlier.values() if key not in buckets])
    changed: dict[BucketKey, Bucket] = {}
    for position, activity in counted:
        key = _key(activity)
        bucket = buckets.get(key)
        if bucket is None:
            # Times never decrease in the log, so these events have completed the bucket before.
            bucket = buckets[key] = following(*key, buckets.get(earlier[key]))
        if position > bucket.position:
            bucket.add(activity)
            bucket.position = position
            changed[key] = bucket
    return list(changed.values())


class BucketKeeper:
    """Updates the stored buckets, and remembers those that the last batch changed: most change again.

    A remembered bucket is the fold of the events so far, even if another process has written meanwhile.
    """

    def __init__(self, buckets: KpiBuckets) -> None:
        self._buckets = buckets
        self._generation = 0
        self._kept: dict[BucketKey, Bucket] = {}

    @property
    def alarms(self) -> int:
        """How many alarms the buckets of the last batch tell apart: the cost of writing them."""
        return sum(len(bucket.alarms) for bucket in self._kept.values())

    def forget(self) -> None:
        """Forget the remembered buckets: the stored ones may hold other events."""
        self._kept = {}

    async def write(self, generation: int, events: Sequence[Event]) -> None:
        """Update the buckets that the events change. Raises UnknownEvent, Unavailable."""
        kept = self._kept if generation == self._generation else {}
        # Until the write succeeds, the remembered buckets are ahead of the stored ones.
        self.forget()

        async def load(keys: Sequence[BucketKey]) -> dict[BucketKey, Bucket]:
            lacking = [key for key in keys if key not in kept]
            return {key: kept[key] for key in keys if key in kept} | await self._buckets.load(
                generation, lacking
            )

        changed = await buckets_after(events, load)
        await self._buckets.write(generation, changed)
        self._generation = generation
        self._kept = {(bucket.tenant, bucket.start): bucket for bucket in changed} or kept


def _key(activity: Activity) -> BucketKey:
    return activity.tenant, start_of(activity.at)

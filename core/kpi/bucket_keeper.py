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
    """Updates the stored buckets, and remembers those that changed last: most change again.

    A remembered bucket is the fold of the events so far, even if another process has written meanwhile. After
    an error, `forget` before anything else.
    """

    def __init__(self, buckets: KpiBuckets) -> None:
        self._buckets = buckets
        self._generation = 0
        self._kept: dict[BucketKey, Bucket] = {}
        # The buckets of which the stored ones lack events.
        self._changed: dict[BucketKey, Bucket] = {}

    @property
    def alarms(self) -> int:
        """How many alarms the buckets written last tell apart: the cost of writing them."""
        return sum(len(bucket.alarms) for bucket in self._kept.values())

    def forget(self) -> None:
        """Forget the remembered buckets: the stored ones may hold other events."""
        self._kept, self._changed = {}, {}

    async def take(self, generation: int, events: Sequence[Event]) -> None:
        """Bring the buckets up to the events, in memory alone. Raises UnknownEvent, Unavailable."""
        if generation != self._generation:
            self.forget()
            self._generation = generation
        known = self._kept | self._changed

        async def load(keys: Sequence[BucketKey]) -> dict[BucketKey, Bucket]:
            lacking = [key for key in keys if key not in known]
            return {key: known[key] for key in keys if key in known} | await self._buckets.load(
                generation, lacking
            )

        changed = await buckets_after(events, load)
        self._changed |= {(bucket.tenant, bucket.start): bucket for bucket in changed}

    async def store(self) -> None:
        """Write the buckets that have changed. Raises Unavailable."""
        kept, changed = self._kept, self._changed
        # Until the write succeeds, the remembered buckets are ahead of the stored ones.
        self.forget()
        await self._buckets.write(self._generation, [*changed.values()])
        self._kept = changed or kept

    async def write(self, generation: int, events: Sequence[Event]) -> None:
        """Update the stored buckets that the events change. Raises UnknownEvent, Unavailable."""
        await self.take(generation, events)
        await self.store()


def _key(activity: Activity) -> BucketKey:
    return activity.tenant, start_of(activity.at)

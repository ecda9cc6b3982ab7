"""From events to buckets: each is brought on by what it lacks, and written whole."""

from collections.abc import Awaitable, Callable, Sequence

from core.alarm.events import Event
from core.kpi.activity import Activity, activity_of
from core.kpi.bucket import BUCKET, Bucket, following, start_of
from core.kpi.ports import BucketKey, KpiBuckets

Load = Callable[[Sequence[BucketKey]], Awaitable[dict[BucketKey, Bucket]]]


async def brought_on(events: Sequence[Event], load: Load) -> list[Bucket]:
    """Return the buckets that the events change, as they are after them.

    An event at or below a bucket's position is in it already, so events may come again.

    Raises:
        UnknownEvent: an event is of a newer version.
        Unavailable: a bucket cannot be loaded.
    """
    found = [(event.position, activity) for event in events if (activity := activity_of(event)) is not None]
    keys = dict.fromkeys(_key(activity) for _, activity in found)
    buckets = await load([*keys])
    earlier = {key: (key[0], key[1] - BUCKET) for key in keys if key not in buckets}
    buckets |= await load([key for key in earlier.values() if key not in buckets])
    changed: dict[BucketKey, Bucket] = {}
    for position, activity in found:
        key = _key(activity)
        bucket = buckets.get(key)
        if bucket is None:
            # The log's times never run backwards: what the one before lacks is among these events, in front.
            bucket = buckets[key] = following(*key, buckets.get(earlier[key]))
        if position > bucket.position:
            bucket.add(activity)
            bucket.position = position
            changed[key] = bucket
    return list(changed.values())


class Keeper:
    """Brings the stored buckets on, and remembers those that the last batch changed: most change again.

    What is remembered is the fold of the events so far, whoever else has written meanwhile.
    """

    def __init__(self, buckets: KpiBuckets) -> None:
        self._buckets = buckets
        self._generation = 0
        self._kept: dict[BucketKey, Bucket] = {}

    @property
    def alarms(self) -> int:
        """How many alarms the buckets of the last batch tell apart: what writing them costs."""
        return sum(len(bucket.alarms) for bucket in self._kept.values())

    def forget(self) -> None:
        """Load every bucket anew: it is not certain which events are in the stored ones."""
        self._kept = {}

    async def write(self, generation: int, events: Sequence[Event]) -> None:
        """Bring on the buckets that the events change. Raises UnknownEvent, Unavailable."""
        kept = self._kept if generation == self._generation else {}
        # They are ahead of what is stored until that is written.
        self.forget()

        async def load(keys: Sequence[BucketKey]) -> dict[BucketKey, Bucket]:
            lacking = [key for key in keys if key not in kept]
            return {key: kept[key] for key in keys if key in kept} | await self._buckets.load(
                generation, lacking
            )

        changed = await brought_on(events, load)
        await self._buckets.write(generation, changed)
        self._generation = generation
        self._kept = {(bucket.tenant, bucket.start): bucket for bucket in changed} or kept


def _key(activity: Activity) -> BucketKey:
    return activity.tenant, start_of(activity.at)

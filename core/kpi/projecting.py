"""From events to buckets: each is loaded, brought on by what it lacks, and written whole."""

from collections.abc import Awaitable, Callable, Sequence

from core.events import Event
from core.kpi.activity import Activity, activity_of
from core.kpi.bucket import BUCKET, Bucket, following, start_of
from core.kpi.ports import BucketKey

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
    earlier = {key: (key[0], key[1] - BUCKET) for key in keys}
    buckets = await load([*dict.fromkeys([*keys, *earlier.values()])])
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


def _key(activity: Activity) -> BucketKey:
    return activity.tenant, start_of(activity.at)

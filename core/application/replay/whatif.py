"""What a period's key figures would have been under other rules; nothing is written."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from core.application.replay.reading import pages, whole
from core.errors import InvalidInput
from core.kpi.activity import Activity, activity_of
from core.kpi.bucket import BUCKET, Bucket, following, start_of
from core.kpi.figures import Figures, figures
from core.kpi.rules import Rules, applied
from core.lists.ports import AlarmHistory
from core.log.ports import EventReader

LONGEST_PERIOD = timedelta(days=31)
MOST_ACTIVITIES = 2_000_000
"""How much activity of a period is held at once."""


@dataclass(frozen=True, slots=True)
class Record:
    """The log, and which position it had at which time."""

    log: EventReader
    history: AlarmHistory


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of a period as they were, and as they would have been."""

    before: Figures
    after: Figures


async def compared(log: Record, tenant: str, start: datetime, end: datetime, rules: Rules) -> Comparison:
    """Replay a tenant's activity of the period, in whole ten minutes, under the rules.

    Raises:
        InvalidInput: the period is empty, too long, or holds too much.
        LogMismatch, UnknownEvent, Unavailable.
    """
    delays = (rules.on_delay, rules.off_delay, rules.deadband)
    if not all(0 <= delay <= LONGEST_PERIOD.total_seconds() for delay in delays):
        raise InvalidInput(f"delays and the deadband must be at most {LONGEST_PERIOD.days} days, in seconds")
    try:
        start, last = start_of(start), start_of(end)
        end = last + BUCKET if end > last else last
        # What is held back must still have a time.
        end + LONGEST_PERIOD, start - LONGEST_PERIOD
    except OverflowError:
        raise InvalidInput("the period must be one that a calendar can hold") from None
    if not timedelta(0) < end - start <= LONGEST_PERIOD + BUCKET:
        raise InvalidInput(f"the period must be longer than nothing and at most {LONGEST_PERIOD.days} days")
    activities = await _activities(log, tenant, start, end)
    return Comparison(
        before=figures(_bucketed(activities), start, end),
        after=figures(_bucketed(_within(applied(activities, rules), end)), start, end),
    )


async def _activities(log: Record, tenant: str, start: datetime, end: datetime) -> list[Activity]:
    if (await log.log.tail()).position == 0:
        # Perhaps nothing was ever served from here, and there is not even an index.
        return []
    # A moment earlier: what was recorded at the start belongs to the period.
    first = await log.history.position_at(start - timedelta(milliseconds=1))
    until = await log.history.position_at(end - timedelta(milliseconds=1))
    found: list[Activity] = []
    async for events in pages(whole(log.log), first, until):
        found += [
            activity
            for event in events
            if event.tenant == tenant and (activity := activity_of(event)) is not None
        ]
        if len(found) > MOST_ACTIVITIES:
            raise InvalidInput(
                f"the period holds more than {MOST_ACTIVITIES:,} activities: ask for a shorter one"
            )
    return found


def _within(activities: Iterable[Activity], end: datetime) -> Iterator[Activity]:
    return (activity for activity in activities if activity.at < end)


def _bucketed(activities: Iterable[Activity]) -> list[Bucket]:
    buckets: dict[datetime, Bucket] = {}
    # What was held back comes later than what happened after it.
    for activity in sorted(activities, key=lambda each: each.at):
        start = start_of(activity.at)
        if start not in buckets:
            buckets[start] = following(activity.tenant, start, buckets.get(start - BUCKET))
        buckets[start].add(activity)
    return list(buckets.values())

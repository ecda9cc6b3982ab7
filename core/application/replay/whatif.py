"""Computes a period's key figures under other rules, and writes nothing."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from core.application.replay.log_pages import pages, with_snapshots
from core.errors import InvalidInput
from core.kpi.activity import Activity, activity_of
from core.kpi.bucket import BUCKET, Bucket, following, start_of
from core.kpi.figures import Figures, figures
from core.kpi.rules import Rules, applied
from core.lists.ports import AlarmHistory
from core.log.ports import EventReader

LONGEST_PERIOD = timedelta(days=31)
MOST_ACTIVITIES = 2_000_000
"""How many activities of a period are held at once."""


@dataclass(frozen=True, slots=True)
class DatedLog:
    """The log, and the history that knows its position at a time."""

    log: EventReader
    history: AlarmHistory


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """A period's figures as they were, and as they would have been."""

    before: Figures
    after: Figures


async def compared(log: DatedLog, tenant: str, start: datetime, end: datetime, rules: Rules) -> Comparison:
    """Replay a tenant's activity of the period, extended to whole ten minutes, under the rules.

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
        # Delayed activities must still have a time that a calendar can hold.
        end + LONGEST_PERIOD, start - LONGEST_PERIOD
    except OverflowError:
        raise InvalidInput("the period must be one that a calendar can hold") from None
    if not timedelta(0) < end - start <= LONGEST_PERIOD + BUCKET:
        raise InvalidInput(f"the period must not be empty, and at most {LONGEST_PERIOD.days} days long")
    activities = await _activities(log, tenant, start, end)
    return Comparison(
        before=figures(_bucketed(activities), start, end),
        after=figures(_bucketed(_within(applied(activities, rules), end)), start, end),
    )


async def _activities(log: DatedLog, tenant: str, start: datetime, end: datetime) -> list[Activity]:
    if (await log.log.tail()).position == 0:
        # A database that no process has served may lack even the history's index.
        return []
    # A millisecond earlier: an event recorded at the start belongs to the period.
    first = await log.history.position_at(start - timedelta(milliseconds=1))
    until = await log.history.position_at(end - timedelta(milliseconds=1))
    activities: list[Activity] = []
    async for events in pages(with_snapshots(log.log), first, until):
        activities += [
            activity
            for event in events
            if event.tenant == tenant and (activity := activity_of(event)) is not None
        ]
        if len(activities) > MOST_ACTIVITIES:
            raise InvalidInput(
                f"the period holds more than {MOST_ACTIVITIES:,} activities: ask for a shorter one"
            )
    return activities


def _within(activities: Iterable[Activity], end: datetime) -> Iterator[Activity]:
    return (activity for activity in activities if activity.at < end)


def _bucketed(activities: Iterable[Activity]) -> list[Bucket]:
    buckets: dict[datetime, Bucket] = {}
    # The rules may delay an activity past later ones.
    for activity in sorted(activities, key=lambda each: each.at):
        start = start_of(activity.at)
        if start not in buckets:
            buckets[start] = following(activity.tenant, start, buckets.get(start - BUCKET))
        buckets[start].add(activity)
    return list(buckets.values())

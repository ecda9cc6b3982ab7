"""What a period's key figures would have been under other rules (`tocsin whatif`); nothing is written."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

import msgspec
from rich.console import Console
from rich.table import Table

from core.alarm import SEVERITY_RANK, Severity
from core.errors import InvalidInput, StartupRefused
from core.kpi.activity import Activity, activity_of
from core.kpi.bucket import BUCKET, Bucket, following, start_of
from core.kpi.figures import Figures, Kpi, figures
from core.kpi.rules import Rules, applied
from entrypoints.reading import pages, whole
from entrypoints.storage import Record, record

LONGEST = timedelta(days=31)
ACTIVITIES = 2_000_000
"""How much activity of a period is held at once."""


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
    if not all(0 <= delay <= LONGEST.total_seconds() for delay in delays):
        raise InvalidInput(f"delays and the deadband must be at most {LONGEST.days} days, in seconds")
    try:
        start, last = start_of(start), start_of(end)
        end = last + BUCKET if end > last else last
        # What is held back must still have a time.
        end + LONGEST, start - LONGEST
    except OverflowError:
        raise InvalidInput("the period must be one that a calendar can hold") from None
    if not timedelta(0) < end - start <= LONGEST + BUCKET:
        raise InvalidInput(f"the period must be longer than nothing and at most {LONGEST.days} days")
    activities = await _activities(log, tenant, start, end)
    return Comparison(
        before=figures(_bucketed(activities), start, end),
        after=figures(_bucketed(_within(applied(activities, rules), end)), start, end),
    )


async def show_whatif(
    of: tuple[str, str, str], period: tuple[datetime, datetime], rules: Rules, out: Console, *, as_json: bool
) -> int:
    """Print the figures before and after; return the exit code, 0. `of`: MongoDB's URI, database, tenant."""
    uri, database, tenant = of
    async with record(uri, database) as log:
        found = await compared(log, tenant, *period, rules)
    if as_json:
        out.file.write(msgspec.json.encode(found).decode() + "\n")
    else:
        out.print(table(found))
    return 0


def table(found: Comparison) -> Table:
    """Return the figures side by side, with their targets."""
    shown = Table(title="Key figures (IEC 62682)", title_justify="left")
    shown.add_column("")
    for heading in ("as it was", "under the rules", "target"):
        shown.add_column(heading, justify="right")
    for before, after in zip(found.before.kpis, found.after.kpis, strict=True):
        shown.add_row(before.title, _shown(before), _shown(after), _target(before))
    return shown


def severities_of(given: Sequence[str]) -> dict[str, Severity]:
    """Read what was given as TYPE=SEVERITY. Raises StartupRefused."""
    found: dict[str, Severity] = {}
    for each in given:
        kind, _, name = each.rpartition("=")
        severity = next((severity for severity in SEVERITY_RANK if severity == name), None)
        if not kind or severity is None:
            known = ", ".join(SEVERITY_RANK)
            raise StartupRefused(f"--severity takes TYPE=SEVERITY, one of {known}; not {each!r}")
        found[kind] = severity
    return found


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
        if len(found) > ACTIVITIES:
            raise InvalidInput(f"the period holds more than {ACTIVITIES:,} activities: ask for a shorter one")
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


def _shown(kpi: Kpi) -> str:
    mark = "" if kpi.met is None or kpi.met else " (!)"
    return f"{_value(kpi.value, kpi.unit)}{mark}"


def _target(kpi: Kpi) -> str:
    if kpi.target is None:
        return ""
    relation = ">=" if kpi.name == "priority_low" else "<="
    return f"{relation} {_value(kpi.target, kpi.unit)}"


def _value(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    match unit:
        case "share":
            return f"{value:.1%}"
        case "s":
            return f"{value:,.0f} s"
        case _:
            return f"{value:,.1f}".removesuffix(".0")

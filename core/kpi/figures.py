"""The key figures of a period, each with its target and the limit that operators can manage.

IEC 62682 §16.5, EEMUA 191 §6.5: per day at most 144 (target) and 288 (limit), per hour 6 and 12, per ten
minutes 1 and 2; under 1 % of ten-minute periods with more than 10, and of the time in flood; the ten busiest
sources under 5 % of the load; none chattering or fleeting; stale under 5; priorities 80/15/5 %.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from core.alarm.alarm import SEVERITY_RANK, Severity
from core.kpi.bucket import BUCKET, AlarmLoad, Bucket, merged_steps, quantile

FLOOD_BEGINS = 10
"""More annunciations in ten minutes begin a flood."""
FLOOD_ENDS = 5
"""Fewer annunciations in ten minutes end a flood."""
BAD_ACTORS = 10
"""How many sources and alarms each ranking names."""
OTHERS = ""
"""The id of the alarms that a bucket does not tell apart."""
STALE = timedelta(hours=24)
"""An alarm that has been active longer is stale."""
STALE_TARGET = 5
TOP_SHARE = 0.05
HIGH_SHARE, MEDIUM_SHARE, LOW_SHARE = 0.05, 0.15, 0.8
TARGET_SHARES: dict[Severity, float | None] = {
    "critical": HIGH_SHARE,
    "major": MEDIUM_SHARE,
    "minor": LOW_SHARE,
    "warning": None,
    "indeterminate": None,
}
"""The target share of each priority; the lowest two count with minor."""
_LOW: frozenset[Severity] = frozenset({"minor", "warning", "indeterminate"})


class Kpi(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One figure. `target`: acceptable; `limit`: the most that can be managed; `met`: on target."""

    name: str
    title: str
    value: float | None
    unit: str
    target: float | None = None
    limit: float | None = None
    met: bool | None = None


class BadSource(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A source that calls operators often, and its share of all calls."""

    source: str
    raised: int
    share: float


class BadAlarm(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An alarm that does something too often."""

    id: str
    source: str
    type: str
    count: int


class Priority(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How often a severity called operators, its share of all calls, and its target share."""

    severity: Severity
    count: int
    share: float | None
    target: float | None


class Acknowledging(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How long acknowledgements took (s), to within 19 %, and how many there were."""

    median: float | None
    p95: float | None
    count: int


class Figures(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A period's figures. `series`: calls in each ten minutes. `complete`: all alarms were told apart."""

    kpis: Sequence[Kpi]
    series: Sequence[int]
    top_sources: Sequence[BadSource]
    chattering: Sequence[BadAlarm]
    fleeting: Sequence[BadAlarm]
    priorities: Sequence[Priority]
    acknowledge_seconds: Acknowledging
    complete: bool


Wanted = Callable[[str, str], bool]
"""Tells whether an alarm of this source and type counts."""


class Tally:
    """Adds up the buckets of a period from `start` to `end`, both on whole ten minutes.

    `wanted`: which alarms count; None: all. Memory grows with the alarms, not with the period.
    """

    def __init__(self, start: datetime, end: datetime, wanted: Wanted | None = None) -> None:
        self.start = start
        self.end = end
        self._wanted = wanted
        self._series = [0] * max(1, (end - start) // BUCKET)
        self._loads: dict[str, AlarmLoad] = {}
        self._complete = True

    def add(self, buckets: Iterable[Bucket]) -> None:
        """Add buckets of the period, each once."""
        for bucket in buckets:
            number = (bucket.start - self.start) // BUCKET
            for alarm_id, load in bucket.alarms.items():
                if self._wanted is None or self._wanted(load.source, load.type):
                    self._add(number, alarm_id, load)
            if bucket.others.count:
                self._complete = False
                if self._wanted is None:
                    self._add(number, OTHERS, bucket.others)

    def figures(self) -> Figures:
        """Return the period's figures."""
        return _figures(self._series, self._loads, complete=self._complete)

    def _add(self, number: int, alarm_id: str, load: AlarmLoad) -> None:
        self._series[number] += load.count
        known = self._loads.get(alarm_id)
        if known is None:
            known = self._loads[alarm_id] = AlarmLoad(source=load.source, type=load.type)
        known.merge(load)


def figures(
    buckets: Iterable[Bucket], start: datetime, end: datetime, wanted: Wanted | None = None
) -> Figures:
    """Return the figures of a period's buckets (see Tally)."""
    tally = Tally(start, end, wanted)
    tally.add(buckets)
    return tally.figures()


def of_now(standing: int, stale: int) -> list[Kpi]:
    """Return the figures of the present: how many alarms stand, and how many are stale."""
    return [
        _most("stale", "Alarms active for more than 24 h, now", stale, (STALE_TARGET, None)),
        Kpi(name="standing", title="Active alarms in sight, now", value=standing, unit="alarms"),
    ]


def _figures(series: list[int], by_alarm: Mapping[str, AlarmLoad], *, complete: bool) -> Figures:
    total = sum(series)
    severities = Counter[Severity]()
    sources = Counter[str]()
    for load in by_alarm.values():
        severities.update(load.annunciated)
        if load.source:
            sources[load.source] += load.count
    top = [
        BadSource(source=source, raised=count, share=count / total)
        for source, count in sources.most_common(BAD_ACTORS)
        if count
    ]
    chattering = _bad(by_alarm, lambda load: load.chattering)
    fleeting = _bad(by_alarm, lambda load: load.fleeting)
    steps = merged_steps(by_alarm.values())
    acknowledging = Acknowledging(
        median=quantile(steps, 0.5), p95=quantile(steps, 0.95), count=sum(steps.values())
    )
    busiest = sum(each.share for each in top) if total else None
    return Figures(
        kpis=[
            *_rates(series, total),
            *_floods(series),
            _share("top_10_sources_share", "The ten busiest sources", busiest, TOP_SHARE),
            _most("chattering", "Alarms that chatter: 3 times in a minute", len(chattering), (0, None)),
            _most("fleeting", "Alarms gone within 10 s, unacknowledged", len(fleeting), (0, None)),
            *_priorities(severities, total),
            *_acknowledging(acknowledging),
        ],
        series=series,
        top_sources=top,
        chattering=chattering[:BAD_ACTORS],
        fleeting=fleeting[:BAD_ACTORS],
        priorities=[
            Priority(
                severity=severity,
                count=severities[severity],
                share=severities[severity] / total if total else None,
                target=TARGET_SHARES[severity],
            )
            for severity in sorted(SEVERITY_RANK, key=lambda each: -SEVERITY_RANK[each])
        ],
        acknowledge_seconds=acknowledging,
        complete=complete,
    )


def _bad(by_alarm: Mapping[str, AlarmLoad], counted: Callable[[AlarmLoad], int]) -> list[BadAlarm]:
    """Return the alarms with a count above 0, the highest count first."""
    bad_alarms = [
        BadAlarm(id=alarm_id, source=load.source, type=load.type, count=counted(load))
        for alarm_id, load in by_alarm.items()
        if alarm_id != OTHERS
    ]
    return sorted((bad for bad in bad_alarms if bad.count), key=lambda bad: (-bad.count, bad.id))


def _rates(series: Sequence[int], total: int) -> list[Kpi]:
    mean = total / len(series)
    per_day = mean * (timedelta(days=1) / BUCKET)
    return [
        _most("raised_per_day", "Alarms per day, on average", per_day, (144, 288)),
        _most("raised_per_hour", "Alarms per hour, on average", mean * 6, (6, 12)),
        _most("raised_per_10_minutes", "Alarms per 10 minutes, on average", mean, (1, 2)),
        _most("peak_10_minutes", "Alarms in the busiest 10 minutes", max(series), (10, None)),
    ]


def _floods(series: Sequence[int]) -> list[Kpi]:
    over = sum(count > FLOOD_BEGINS for count in series) / len(series)
    flooded, in_flood = 0, False
    for count in series:
        # A flood lasts until the count falls below FLOOD_ENDS.
        in_flood = count > FLOOD_BEGINS or (in_flood and count >= FLOOD_ENDS)
        flooded += in_flood
    return [
        _share("flood_periods", f"10-minute periods with more than {FLOOD_BEGINS}", over, 0.01),
        _share("flood_time", "Time in flood", flooded / len(series), 0.01),
    ]


def _priorities(severities: Mapping[Severity, int], total: int) -> list[Kpi]:
    low = sum(severities.get(severity, 0) for severity in _LOW)
    critical, major, rest = (
        count / total if total else None
        for count in (severities.get("critical", 0), severities.get("major", 0), low)
    )
    return [
        _share("priority_high", "Critical alarms", critical, HIGH_SHARE),
        _share("priority_medium", "Major alarms", major, MEDIUM_SHARE),
        Kpi(
            name="priority_low",
            title="Minor alarms and below",
            value=rest,
            unit="share",
            target=LOW_SHARE,
            met=None if rest is None else rest >= LOW_SHARE,
        ),
    ]


def _acknowledging(acknowledging: Acknowledging) -> list[Kpi]:
    values = (("median", acknowledging.median), ("95th percentile", acknowledging.p95))
    names = ("acknowledge_median", "acknowledge_p95")
    return [
        Kpi(name=name, title=f"Time to acknowledge, {which}", value=value, unit="s")
        for name, (which, value) in zip(names, values, strict=True)
    ]


def _most(name: str, title: str, value: float, bounds: tuple[float, float | None]) -> Kpi:
    target, limit = bounds
    return Kpi(
        name=name,
        title=title,
        value=value,
        unit="alarms",
        target=target,
        limit=limit,
        met=value <= target,
    )


def _share(name: str, title: str, value: float | None, target: float) -> Kpi:
    met = None if value is None else value <= target
    return Kpi(name=name, title=title, value=value, unit="share", target=target, met=met)

"""The counts of the alarm list, and the key figures of a period."""

from datetime import datetime, timedelta

from msgspec.structs import asdict
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from core.filter import split_sources
from core.kpi.bucket import BUCKET, start_of
from core.kpi.figures import BAD_ACTORS, STALE, Wanted, figures, of_now
from core.ports import Counts
from entrypoints.http.answers import CurrentCounts, Period, Raised, StaleAlarm, StatsAnswer
from entrypoints.http.exchange import caller, json_response, services
from entrypoints.http.parameters import StatsParameters, parameters
from entrypoints.http.problems import Problem
from entrypoints.kpis import PROJECTION as KPIS
from entrypoints.worker import PROJECTION as ALARMS

LONGEST = timedelta(days=31)
DEFAULT = timedelta(days=1)


async def stats(request: Request) -> Response:
    """Return the counts as they are, and the figures of the period, in whole ten minutes."""
    given, tenant = parameters(request, StatsParameters), caller(request).tenant
    offered = services(request)
    now = offered.now()
    start, end = _period(given, now)
    # Before the rows: they may be newer than it, never older.
    position = (await offered.checkpoints.load(ALARMS)).position
    counts = await offered.alarms.counts(given.query(tenant), now - STALE, BAD_ACTORS)
    at = await offered.checkpoints.load(KPIS)
    pages = offered.kpis.buckets.period(at.generation, tenant, start, end)
    found = figures([bucket async for page in pages for bucket in page], start, end, _wanted(given))
    parts = asdict(found) | {
        "kpis": [*found.kpis, *of_now(_standing(counts), counts.stale)],
        "series": [
            Raised(at=start + number * BUCKET, raised=count) for number, count in enumerate(found.series)
        ],
    }
    answer = StatsAnswer(
        position=position,
        kpi_position=at.position,
        current=_current(counts),
        period=Period(from_=start, to=end),
        stale=[
            StaleAlarm(id=alarm.id, source=alarm.source, type=alarm.type, raised_at=alarm.raised_at or now)
            for alarm in counts.oldest
        ],
        **parts,
    )
    return json_response(answer)


def _period(given: StatsParameters, now: datetime) -> tuple[datetime, datetime]:
    """Return the start of the first bucket and the end of the last. Raises Problem 422."""
    to = now if given.to is None else given.to
    try:
        from_ = to - DEFAULT if given.from_ is None else given.from_
        start, end = start_of(from_), start_of(to)
        end += BUCKET if end < to else timedelta(0)
    except OverflowError:
        raise Problem(422, "invalid", "from and to must be times that a calendar can hold") from None
    if from_ >= to:
        raise Problem(422, "invalid", "the period must begin before it ends: from must be before to")
    if end - start > LONGEST + BUCKET:
        raise Problem(422, "invalid", f"the period must not be longer than {LONGEST.days} days")
    return start, end


def _wanted(given: StatsParameters) -> Wanted | None:
    if not given.source and not given.type:
        return None
    exact, prefixes = split_sources(given.source)

    def wanted(source: str, kind: str) -> bool:
        of_source = not given.source or source in exact or source.startswith(prefixes)
        return of_source and (not given.type or kind in given.type)

    return wanted


def _current(counts: Counts) -> CurrentCounts:
    by_state = counts.by_state
    return CurrentCounts(
        total=sum(count for state, count in by_state.items() if state != "normal"),
        active=counts.active,
        unacked=by_state.get("unacked", 0) + by_state.get("rtn_unacked", 0),
        standing=_standing(counts),
        stale=counts.stale,
        by_state=by_state,
        by_severity=counts.by_severity,
    )


def _standing(counts: Counts) -> int:
    return counts.by_state.get("unacked", 0) + counts.by_state.get("acked", 0)


ROUTES = [Route("/v1/stats", stats)]

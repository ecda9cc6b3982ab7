"""Serves the counts of the alarm list, and the key figures of a period."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

from msgspec.structs import asdict
from starlette.requests import Request
from starlette.responses import Response

from core.application.projections.alarms import PROJECTION as ALARMS
from core.application.projections.kpis import PROJECTION as KPIS
from core.errors import TooBroad
from core.kpi.bucket import BUCKET, start_of
from core.kpi.figures import BAD_ACTORS, STALE, Figures, Tally, Wanted, of_now
from core.lists.filter import split_sources
from core.lists.ports import AlarmCounts
from core.roles import READERS
from entrypoints.http.operations import AWAY, Routes
from entrypoints.http.problems import Problem
from entrypoints.http.requests import caller
from entrypoints.http.responses import json_response
from entrypoints.http.schemas.answers import CurrentCounts, Period, RaisedInPeriod, StaleAlarm, StatsAnswer
from entrypoints.http.schemas.parameters import StatsParameters, parameters
from entrypoints.http.services import Services
from entrypoints.http.state import services_of, state_of

LONGEST = timedelta(days=31)
DEFAULT = timedelta(days=1)
STATS_SECONDS = 10.0
"""How long adding up a period's buckets may take, including the wait for a turn."""


routes = Routes("alarms")


@routes.declare(
    "GET",
    "/v1/stats",
    "stats",
    "Count the alarms, and show the key figures of a period",
    roles=READERS,
    parameters=StatsParameters,
    answers={200: StatsAnswer},
    codes=(*AWAY, "invalid", "too_broad"),
)
async def stats(request: Request) -> Response:
    """Return the present counts, and the figures of the period, in whole ten minutes."""
    given, tenant = parameters(request, StatsParameters), caller(request).tenant
    services = services_of(request)
    now = services.clock.now()
    start, end = _period(*given.period(now, DEFAULT))
    # Read before the rows, which may be newer than this position, never older.
    position = (await services.checkpoints.load(ALARMS)).position
    state = state_of(request)
    async with state.costly_queries.taken(state.admission.is_busy):
        counts = await services.alarms.counts(given.query(tenant), now - STALE, BAD_ACTORS)
    try:
        async with asyncio.timeout(STATS_SECONDS), state_of(request).adding_up:
            kpi_position, figures = await _figures(
                services, tenant, lambda: Tally(start, end, _wanted(given))
            )
    except TimeoutError:
        raise TooBroad("the period has too much activity to add up in time: ask for a shorter one") from None
    parts = asdict(figures) | {
        "kpis": [*figures.kpis, *of_now(_standing(counts), counts.stale)],
        "series": [
            RaisedInPeriod(at=start + number * BUCKET, raised=count)
            for number, count in enumerate(figures.series)
        ],
    }
    answer = StatsAnswer(
        position=position,
        kpi_position=kpi_position,
        current=_current(counts),
        period=Period(from_=start, to=end),
        stale=[
            StaleAlarm(id=alarm.id, source=alarm.source, type=alarm.type, raised_at=alarm.raised_at or now)
            for alarm in counts.oldest
        ],
        **parts,
    )
    return json_response(answer)


async def _figures(services: Services, tenant: str, new_tally: Callable[[], Tally]) -> tuple[int, Figures]:
    """Add up the buckets; return the position that they reach, and their figures."""
    while True:
        tally, at = new_tally(), await services.checkpoints.load(KPIS)
        async for buckets in services.kpis.period(at.generation, tenant, tally.start, tally.end):
            # In a thread, because adding up would block the event loop for a while.
            await asyncio.to_thread(tally.add, buckets)
        # A rebuild that was swapped in meanwhile may have removed some buckets.
        if (await services.checkpoints.load(KPIS)).generation == at.generation:
            return at.position, await asyncio.to_thread(tally.figures)


def _period(from_: datetime, to: datetime) -> tuple[datetime, datetime]:
    """Return the start of the first bucket and the end of the last. Raises Problem 422."""
    if from_ >= to:
        raise Problem(422, "invalid", "the period must begin before it ends: from must be before to")
    try:
        start, end = start_of(from_), start_of(to)
        end += BUCKET if end < to else timedelta(0)
    except OverflowError:
        raise Problem(422, "invalid", "from and to must be times that a calendar can hold") from None
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


def _current(counts: AlarmCounts) -> CurrentCounts:
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


def _standing(counts: AlarmCounts) -> int:
    return counts.by_state.get("unacked", 0) + counts.by_state.get("acked", 0)

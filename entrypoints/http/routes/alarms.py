"""Serves the alarm list, its export, one alarm and its events."""

from collections.abc import Awaitable, Callable
from datetime import datetime

from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from core.alarm.alarm import Alarm
from core.application.projections.alarms import PROJECTION
from core.lists.query import AlarmPage, AlarmQuery, within
from core.roles import READERS
from entrypoints.http.accept_and_match import knows
from entrypoints.http.encoded_events import EncodedEvents, plain
from entrypoints.http.export import EXPORTS, PageWriter, WrittenPage, exported
from entrypoints.http.operations import AWAY, Media, Routes
from entrypoints.http.problems import RETRY_AFTER_SECONDS, Problem
from entrypoints.http.requests import alarm_id_of, caller
from entrypoints.http.responses import events_response, json_response
from entrypoints.http.schemas.answers import AlarmsAnswer, EventsAnswer
from entrypoints.http.schemas.cursors import cursor_of, cursor_text
from entrypoints.http.schemas.parameters import (
    ALARM_ID,
    LIMIT,
    AsOfParameters,
    ExportParameters,
    ListParameters,
    PageParameters,
    parameters,
)
from entrypoints.http.state import services_of, state_of

PROJECTED_SECONDS = 10.0
"""How long a query waits for the list to reach its `min_position`."""

ANSWER_BYTES = 1024 * 1024
"""How many bytes of rows an answer has at most, whatever its limit; always one row."""

Pages = Callable[[AlarmQuery], Awaitable[AlarmPage]]


CODES = (*AWAY, "invalid", "position_ahead", "too_broad", "not_projected_yet", "newer_version")
"""The problems of a list."""

routes = Routes("alarms", ids=ALARM_ID)


@routes.declare(
    "GET",
    "/v1/alarms",
    "list",
    "List alarms",
    roles=READERS,
    parameters=ListParameters,
    answers={200: AlarmsAnswer},
    codes=(*CODES, "bad_cursor"),
)
async def list_alarms(request: Request) -> Response:
    """Return a page of the alarm list, and the position that the list is exact for."""
    given = parameters(request, ListParameters)
    query = replace(given.query(caller(request).tenant), limit=given.limit)
    pinned = None
    if given.cursor is not None:
        cursor = cursor_of(given.cursor, given.digest(), query)
        query, pinned = replace(query, after=tuple(cursor.after)), cursor.position
    costly = given.as_of is not None or bool(query.words)
    if costly:
        # Whoever is refused and comes again at once costs no read.
        state_of(request).costly_queries.check_queue()
    position, pages = await _source(request, given, pinned)
    if costly:
        pages = _in_places(request, pages)
    page = within(query, await pages(query), ANSWER_BYTES)
    at = position if given.as_of is not None else None
    following = None if page.next is None else cursor_text(given.digest(), page.next, at)
    return json_response(AlarmsAnswer(page.alarms, following, position))


@routes.declare(
    "GET",
    "/v1/alarms/export",
    "export",
    "Export a list as a file",
    roles=READERS,
    parameters=ExportParameters,
    answers={200: Media(("text/csv", "application/x-ndjson"))},
    codes=CODES,
)
async def export_alarms(request: Request) -> Response:
    """Return all rows of a list as a file; only a bounded part of it is in memory at a time."""
    given = parameters(request, ExportParameters)
    query = replace(given.query(caller(request).tenant), limit=LIMIT)
    places, is_busy = state_of(request).costly_queries, state_of(request).admission.is_busy
    places.check_queue()
    position, pages = await _source(request, given, None)
    export = EXPORTS[given.format]
    writer = PageWriter(export, pages)
    # Read the first page before the answer begins: an error in it can still become a problem.
    async with places.taken(is_busy):
        first = await writer.page(query)

    async def later(query: AlarmQuery) -> WrittenPage:
        async with places.waited_for(is_busy):
            return await writer.page(query)

    stamp = services_of(request).clock.now().strftime("%Y%m%dT%H%M%SZ")
    headers = {
        "Content-Disposition": f'attachment; filename="alarms-{stamp}.{given.format}"',
        "Tocsin-Position": str(position),
    }
    if request.method == "HEAD":
        return Response(None, headers=headers, media_type=export.media_type)
    return StreamingResponse(exported(export, later, query, first), 200, headers, export.media_type)


@routes.declare(
    "GET",
    "/v1/alarms/{alarm_id}",
    "alarm",
    "Show an alarm, as it is or was",
    roles=READERS,
    parameters=AsOfParameters,
    answers={200: Alarm, 304: None},
    codes=(*AWAY, "unknown_alarm", "invalid", "position_ahead", "too_broad"),
    headers=("If-None-Match",),
)
async def get_alarm(request: Request) -> Response:
    """Return one alarm from the log, as it is or was; 304 if the client has this revision already."""
    given = parameters(request, AsOfParameters)
    alarm_id, tenant = alarm_id_of(request), caller(request).tenant
    if given.as_of is None:
        newest = await services_of(request).log.newest(alarm_id)
    else:
        position = await _position(request, given)
        newest = await services_of(request).history.newest(tenant, alarm_id, position)
    if newest is None or newest.tenant != tenant:
        raise Problem(404, "unknown_alarm", "there is no such alarm")
    etag = {"ETag": f'"{newest.revision}"'}
    if knows(request, etag["ETag"]):
        return Response(None, 304, etag)
    return json_response(newest.alarm, headers=etag)


@routes.declare(
    "GET",
    "/v1/alarms/{alarm_id}/events",
    "alarm_events",
    "List an alarm's events",
    roles=READERS,
    parameters=PageParameters,
    answers={200: EventsAnswer},
    codes=(*AWAY, "unknown_alarm", "invalid"),
)
async def alarm_events(request: Request) -> Response:
    """Return a page of an alarm's events, by revision."""
    given = parameters(request, PageParameters)
    log, alarm_id = services_of(request).log, alarm_id_of(request)
    newest = await log.newest(alarm_id)
    if newest is None or newest.tenant != caller(request).tenant:
        raise Problem(404, "unknown_alarm", "there is no such alarm")
    answer = EncodedEvents(given.limit)
    async with state_of(request).log_pages.taken():
        last = await answer.take(await log.stream(alarm_id, given.after, given.limit), plain)
    following = given.after if last is None else last.revision
    return events_response(answer.events, following, newest.position)


async def _source(
    request: Request, given: ListParameters | ExportParameters, pinned: int | None
) -> tuple[int, Pages]:
    """Return the position of the requested list, and the function that reads its pages."""
    services = services_of(request)
    if given.as_of is not None:
        if given.min_position:
            raise Problem(422, "invalid", "as_of reads the log, so min_position has nothing to wait for")
        position = await _position(request, given) if pinned is None else pinned
        return position, lambda query: services.history.page(query, position)
    await _wait_for(request, given.min_position)
    # Read before the rows, which may be newer than this position, never older.
    return (await services.checkpoints.load(PROJECTION)).position, services.alarms.page


def _in_places(request: Request, pages: Pages) -> Pages:
    """Return the function with a bound on how many costly queries run at once."""
    state = state_of(request)

    async def page(query: AlarmQuery) -> AlarmPage:
        async with state.costly_queries.taken(state.admission.is_busy):
            return await pages(query)

    return page


async def _position(request: Request, given: AsOfParameters) -> int:
    """Return the position that `as_of` stands for. Raises Problem 422."""
    moment, services = given.moment, services_of(request)
    tail = (await services.log.tail()).position
    if isinstance(moment, datetime):
        return min(tail, await services.history.position_at(moment))
    if moment is None or moment > tail:
        raise _position_ahead(moment or 0, tail)
    return moment


async def _wait_for(request: Request, position: int) -> None:
    if position == 0:
        return
    services = services_of(request)
    tail = await services.log.tail()
    if position > tail.position:
        raise _position_ahead(position, tail.position)
    if not await services.projected(position, PROJECTED_SECONDS):
        detail = f"the alarm list has not reached position {position} in {PROJECTED_SECONDS:.0f} s"
        raise Problem(503, "not_projected_yet", detail, {"Retry-After": str(RETRY_AFTER_SECONDS)})


def _position_ahead(asked: int, tail: int) -> Problem:
    return Problem(422, "position_ahead", f"position {asked} is ahead of the log, which is at {tail}")

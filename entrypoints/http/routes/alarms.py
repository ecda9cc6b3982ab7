"""The alarm list, its export, and one alarm: as they stand, or as of an earlier moment."""

from collections.abc import Awaitable, Callable
from datetime import datetime

from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from core.application.projections.alarms import PROJECTION
from core.lists.query import AlarmPage, AlarmQuery
from entrypoints.http.problems import RETRY_AFTER_SECONDS, Problem
from entrypoints.http.requests import caller, json_response, services
from entrypoints.http.routes.export import EXPORTS, exported
from entrypoints.http.schemas.answers import AlarmsAnswer
from entrypoints.http.schemas.cursors import cursor_of, cursor_text
from entrypoints.http.schemas.parameters import (
    LIMIT,
    AsOfParameters,
    ExportParameters,
    ListParameters,
    parameters,
)

PROJECTED_SECONDS = 10.0
"""How long a query waits for the list to reach its `min_position`."""

Pages = Callable[[AlarmQuery], Awaitable[AlarmPage]]


async def list_alarms(request: Request) -> Response:
    """Return a page of the alarm list, and the position that the list is exact for."""
    given = parameters(request, ListParameters)
    query = replace(given.query(caller(request).tenant), limit=given.limit)
    pinned = None
    if given.cursor is not None:
        cursor = cursor_of(given.cursor, given.digest(), query)
        query, pinned = replace(query, after=tuple(cursor.after)), cursor.position
    position, pages = await _source(request, given, pinned)
    page = await pages(query)
    at = position if given.as_of is not None else None
    following = None if page.next is None else cursor_text(given.digest(), page.next, at)
    return json_response(AlarmsAnswer(page.alarms, following, position))


async def export_alarms(request: Request) -> Response:
    """Return all rows of a list as a file; only one page of it is in memory at a time."""
    given = parameters(request, ExportParameters)
    query = replace(given.query(caller(request).tenant), limit=LIMIT)
    position, pages = await _source(request, given, None)
    export = EXPORTS[given.format]
    # The first page before the answer begins: what goes wrong there can still be told as a problem.
    first = await pages(query)
    stamp = services(request).clock.now().strftime("%Y%m%dT%H%M%SZ")
    headers = {
        "Content-Disposition": f'attachment; filename="alarms-{stamp}.{given.format}"',
        "Tocsin-Position": str(position),
    }
    if request.method == "HEAD":
        return Response(None, headers=headers, media_type=export.media_type)
    return StreamingResponse(exported(export, query, first, pages), 200, headers, export.media_type)


async def get_alarm(request: Request) -> Response:
    """Return one alarm as it stands in the log, or stood; 304 if the caller has this revision already."""
    given = parameters(request, AsOfParameters)
    alarm_id, tenant = request.path_params["alarm_id"], caller(request).tenant
    if given.as_of is None:
        newest = await services(request).log.newest(alarm_id)
    else:
        position = await _position(request, given)
        newest = await services(request).history.newest(tenant, alarm_id, position)
    if newest is None or newest.tenant != tenant:
        raise Problem(404, "unknown_alarm", "there is no such alarm")
    etag = {"ETag": f'"{newest.revision}"'}
    if _has(request, etag["ETag"]):
        return Response(None, 304, etag)
    return json_response(newest.alarm, headers=etag)


async def _source(
    request: Request, given: ListParameters | ExportParameters, pinned: int | None
) -> tuple[int, Pages]:
    """Return how far the list is that is asked for, and what gives its pages."""
    offered = services(request)
    if given.as_of is not None:
        if given.min_position:
            raise Problem(
                422, "invalid", "as_of reads the log, so there is nothing for min_position to wait for"
            )
        position = await _position(request, given) if pinned is None else pinned
        return position, lambda query: offered.history.page(query, position)
    await _wait_for(request, given.min_position)
    # Before the rows: they may be newer than it, never older.
    return (await offered.checkpoints.load(PROJECTION)).position, offered.alarms.page


async def _position(request: Request, given: AsOfParameters) -> int:
    """Return the position that `as_of` stands for. Raises Problem 422."""
    moment, offered = given.moment, services(request)
    tail = (await offered.log.tail()).position
    if isinstance(moment, datetime):
        return min(tail, await offered.history.position_at(moment))
    if moment is None or moment > tail:
        raise _position_ahead(moment or 0, tail)
    return moment


async def _wait_for(request: Request, position: int) -> None:
    if position == 0:
        return
    offered = services(request)
    tail = await offered.log.tail()
    if position > tail.position:
        raise _position_ahead(position, tail.position)
    if not await offered.projected(position, PROJECTED_SECONDS):
        detail = f"the alarm list has not reached position {position} in {PROJECTED_SECONDS:.0f} s"
        raise Problem(503, "not_projected_yet", detail, {"Retry-After": str(RETRY_AFTER_SECONDS)})


def _has(request: Request, etag: str) -> bool:
    """Tell whether If-None-Match names the tag, compared weakly (RFC 9110 §13.1.2)."""
    given = [each.strip() for each in ",".join(request.headers.getlist("if-none-match")).split(",")]
    return "*" in given or etag in {each.removeprefix("W/") for each in given}


def _position_ahead(asked: int, tail: int) -> Problem:
    return Problem(422, "position_ahead", f"position {asked} is ahead of the log, which is at {tail}")


ROUTES = [
    Route("/v1/alarms", list_alarms),
    Route("/v1/alarms/export", export_alarms),
    Route("/v1/alarms/{alarm_id}", get_alarm),
]

"""The queries on the log: an alarm's events."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from core.delivery.encodings.json import JSON
from core.delivery.ring import EncodedEvent
from entrypoints.http.problems import Problem
from entrypoints.http.requests import caller, events_response, services
from entrypoints.http.schemas.parameters import PageParameters, parameters


async def alarm_events(request: Request) -> Response:
    """Return a page of an alarm's events, by revision."""
    given = parameters(request, PageParameters)
    log, alarm_id = services(request).log, request.path_params["alarm_id"]
    newest = await log.newest(alarm_id)
    if newest is None or newest.tenant != caller(request).tenant:
        raise Problem(404, "unknown_alarm", "there is no such alarm")
    events = await log.stream(alarm_id, given.after, given.limit)
    following = events[-1].revision if events else given.after
    return events_response([JSON.event(EncodedEvent(event)) for event in events], following, newest.position)


ROUTES = [
    Route("/v1/alarms/{alarm_id}/events", alarm_events),
]

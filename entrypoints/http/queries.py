"""The queries on the log: an alarm's events."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from entrypoints.http.exchange import caller, json_response, services
from entrypoints.http.parameters import DEFAULT_LIMIT, LIMIT
from entrypoints.http.problems import Problem

_PAGE_PARAMETERS = frozenset({"after", "limit"})


async def alarm_events(request: Request) -> Response:
    """Return a page of an alarm's events, by revision."""
    _check_names(request, _PAGE_PARAMETERS)
    after, limit = _number(request, "after", 0), _number(request, "limit", DEFAULT_LIMIT, 1, LIMIT)
    log, alarm_id = services(request).log, request.path_params["alarm_id"]
    newest = await log.newest(alarm_id)
    if newest is None or newest.tenant != caller(request).tenant:
        raise _unknown()
    events = await log.stream(alarm_id, after, limit)
    following = events[-1].revision if events else after
    return json_response({"events": events, "next": following, "position": newest.position})


def _number(request: Request, name: str, default: int, minimum: int = 0, maximum: int = 2**31 - 1) -> int:
    text = request.query_params.get(name)
    if text is None:
        return default
    digits = text.isascii() and text.isdigit() and len(text) <= len(str(maximum))
    if not (digits and minimum <= int(text) <= maximum):
        raise Problem(422, "invalid", f"{name} must be a whole number from {minimum} to {maximum}")
    return int(text)


def _check_names(request: Request, known: frozenset[str]) -> None:
    for name in request.query_params:
        if name not in known:
            expected = ", ".join(sorted(known)) or "none"
            raise Problem(422, "invalid", f"unknown query parameter {name[:64]!r}; there are {expected}")
        # Only one of several would count, and which one is anybody's guess.
        if len(request.query_params.getlist(name)) > 1:
            raise Problem(422, "invalid", f"query parameter {name} is given more than once")


def _unknown() -> Problem:
    return Problem(404, "unknown_alarm", "there is no such alarm")


ROUTES = [
    Route("/v1/alarms/{alarm_id}/events", alarm_events),
]

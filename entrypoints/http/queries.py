"""The queries: the alarm list, one alarm, its events."""

import base64
import binascii
from collections.abc import Collection
from datetime import datetime
from typing import Annotated, get_args

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from core.alarm import Severity, State
from core.ports import AlarmQuery
from entrypoints.http.exchange import caller, json_response, services
from entrypoints.http.problems import RETRY_AFTER_SECONDS, Problem
from entrypoints.worker import PROJECTION

LIMIT = 1_000
DEFAULT_LIMIT = 100
PROJECTED_SECONDS = 10.0
"""How long a query waits for the list to reach its `min_position`."""

_LIST_PARAMETERS = frozenset({"state", "severity", "source", "type", "limit", "cursor", "min_position"})
_REPEATABLE = frozenset({"state", "severity"})
_PAGE_PARAMETERS = frozenset({"after", "limit"})

_Cursor = tuple[Annotated[datetime, Meta(tz=True)], str]
_cursor_decoder: msgspec.json.Decoder[_Cursor] = msgspec.json.Decoder(_Cursor)


async def list_alarms(request: Request) -> Response:
    """Return a page of the alarm list, and the position that the list is exact for."""
    _check_names(request, _LIST_PARAMETERS)
    query = _query(request)
    await _wait_for(request, _number(request, "min_position", 0, maximum=2**63 - 1))
    offered = services(request)
    # Before the rows: they may be newer than it, never older.
    position = (await offered.checkpoints.load(PROJECTION)).position
    page = await offered.alarms.page(query)
    following = None if page.next is None else _cursor_text(page.next)
    return json_response({"alarms": page.alarms, "next": following, "position": position})


async def get_alarm(request: Request) -> Response:
    """Return one alarm as it stands in the log."""
    _check_names(request, frozenset())
    newest = await services(request).log.newest(request.path_params["alarm_id"])
    if newest is None or newest.tenant != caller(request).tenant:
        raise _unknown()
    return json_response(newest.alarm, headers={"ETag": f'"{newest.revision}"'})


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


def _query(request: Request) -> AlarmQuery:
    states = _named(request, "state", [*get_args(State), "all"])
    return AlarmQuery(
        tenant=caller(request).tenant,
        states=frozenset(get_args(State)) if states and "all" in states else _states(states),
        severities=_severities(_named(request, "severity", get_args(Severity))),
        source=request.query_params.get("source"),
        type=request.query_params.get("type"),
        limit=_number(request, "limit", DEFAULT_LIMIT, 1, LIMIT),
        cursor=_cursor(request),
    )


def _states(names: frozenset[str] | None) -> frozenset[State] | None:
    return None if names is None else msgspec.convert(names, frozenset[State])


def _severities(names: frozenset[str] | None) -> frozenset[Severity] | None:
    return None if names is None else msgspec.convert(names, frozenset[Severity])


def _named(request: Request, name: str, known: Collection[str]) -> frozenset[str] | None:
    given = [value for part in request.query_params.getlist(name) for value in part.split(",") if value]
    for value in given:
        if value not in known:
            raise Problem(422, "invalid", f"{name} must be one of {', '.join(known)}, not {value[:64]!r}")
    return frozenset(given) or None


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
        if name not in _REPEATABLE and len(request.query_params.getlist(name)) > 1:
            raise Problem(422, "invalid", f"query parameter {name} is given more than once")


def _cursor(request: Request) -> _Cursor | None:
    text = request.query_params.get("cursor")
    if text is None:
        return None
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
        return _cursor_decoder.decode(raw)
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        raise Problem(400, "bad_cursor", "this cursor is not one that was given out") from None


def _cursor_text(cursor: _Cursor) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(cursor)).decode().rstrip("=")


def _unknown() -> Problem:
    return Problem(404, "unknown_alarm", "there is no such alarm")


def _position_ahead(asked: int, tail: int) -> Problem:
    return Problem(422, "position_ahead", f"position {asked} is ahead of the log, which is at {tail}")


ROUTES = [
    Route("/v1/alarms", list_alarms),
    Route("/v1/alarms/{alarm_id}", get_alarm),
    Route("/v1/alarms/{alarm_id}/events", alarm_events),
]

"""Every refusal and every error as `application/problem+json` (RFC 9457)."""

import logging
from http import HTTPStatus
from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Match, Route

from core.alarm import Alarm
from core.decider import allowed_commands
from core.errors import OutcomeUnknown, RefusalCode, Refused, TooBroad, Unauthenticated, Unavailable

logger = logging.getLogger("tocsin.http")

RETRY_AFTER_SECONDS = 1

STATUS_OF_REFUSAL: dict[RefusalCode, int] = {
    "unknown_alarm": 404,
    "not_active": 409,
    "still_active": 409,
    "not_acknowledged": 409,
    "already_confirmed": 409,
    "not_latched": 409,
    "already_shelved": 409,
    "not_shelved": 409,
    "already_suppressed": 409,
    "not_suppressed": 409,
    "already_out_of_service": 409,
    "not_out_of_service": 409,
    "forbidden": 403,
    "already_acknowledged": 409,
    "revision_outdated": 409,
    "revision_ahead": 409,
    "too_many_origins": 409,
    "invalid": 422,
    "idempotency_key_reused": 422,
    "unknown_api_key": 404,
    "too_many_api_keys": 409,
}


class Problem(Exception):
    """A request that is answered with a problem: its status, its code, and what to do about it."""

    def __init__(self, status: int, code: str, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = headers


def response(
    status: int, code: str, detail: str, headers: dict[str, str] | None = None, **members: Any
) -> Response:
    """Return a problem as a response. It has no `type` but `about:blank`; `code` tells them apart."""
    body = {"title": HTTPStatus(status).phrase, "status": status, "code": code, "detail": detail, **members}
    return Response(msgspec.json.encode(body), status, headers, "application/problem+json")


async def on_problem(_: Request, error: Exception) -> Response:
    """Answer a Problem."""
    assert isinstance(error, Problem)  # noqa: S101 (Starlette hands over what it was registered for)
    return response(error.status, error.code, error.detail, error.headers)


async def on_refused(_: Request, error: Exception) -> Response:
    """Answer a refusal by the alarm's rules, with the alarm as it stands."""
    assert isinstance(error, Refused)  # noqa: S101 (as above)
    return refusal(error)


def refusal(error: Refused) -> Response:
    """Return a refusal as a response."""
    members = {} if error.alarm is None else _as_it_stands(error.alarm)
    return response(STATUS_OF_REFUSAL[error.code], error.code, error.detail, **members)


def _as_it_stands(alarm: Alarm) -> dict[str, Any]:
    return {"state": alarm.state, "revision": alarm.revision, "allowed_commands": allowed_commands(alarm)}


async def on_unauthenticated(_: Request, error: Exception) -> Response:
    """Answer who has not proven who they are (RFC 6750 §3)."""
    assert isinstance(error, Unauthenticated)  # noqa: S101 (as above)
    challenge = 'Bearer realm="tocsin"'
    if error.code != "token_missing":
        challenge += ', error="invalid_token"'
    return response(401, error.code, error.detail, {"WWW-Authenticate": challenge})


async def on_unavailable(_: Request, error: Exception) -> Response:
    """Answer that it did not happen, or may have."""
    code = "outcome_unknown" if isinstance(error, OutcomeUnknown) else "unavailable"
    return response(503, code, str(error), {"Retry-After": str(RETRY_AFTER_SECONDS)})


async def on_too_broad(_: Request, error: Exception) -> Response:
    """Answer that a query asks for too much."""
    return response(422, "too_broad", str(error))


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Answer what the router refuses."""
    assert isinstance(error, HTTPException)  # noqa: S101 (as above)
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = ", ".join(_methods(request))
        detail = f"{request.method} is not possible here, but {allowed}"
        return response(error.status_code, "method_not_allowed", detail, {"Allow": allowed})
    if error.status_code == HTTPStatus.NOT_FOUND:
        return response(error.status_code, "not_found", "there is nothing at this path")
    headers = dict(error.headers) if error.headers else None
    return response(error.status_code, "http_error", error.detail, headers)


def _methods(request: Request) -> list[str]:
    """Name the methods of the path; the router itself names only those of the first route that has it."""
    routes = [route for route in request.app.routes if isinstance(route, Route)]
    here = [route for route in routes if route.matches(request.scope)[0] is not Match.NONE]
    return sorted({method for route in here for method in route.methods or ()})


async def on_disconnect(_: Request, __: Exception) -> Response:
    """Answer nobody: the client went away in the middle of its request."""
    return response(400, "incomplete_body", "the connection ended before the body did")


async def on_error(request: Request, error: Exception) -> Response:
    """Answer a fault of our own without telling its inside."""
    logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return response(500, "internal", "this is a fault of the server; it has been logged")


HANDLERS = {
    Problem: on_problem,
    Refused: on_refused,
    Unauthenticated: on_unauthenticated,
    Unavailable: on_unavailable,
    OutcomeUnknown: on_unavailable,
    TooBroad: on_too_broad,
    HTTPException: on_http_exception,
    ClientDisconnect: on_disconnect,
    Exception: on_error,
}

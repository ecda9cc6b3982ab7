"""Every refusal and every error as `application/problem+json` (RFC 9457)."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Match, Route

from core.alarm.alarm import Alarm
from core.alarm.decider import allowed_commands
from core.errors import (
    OutcomeUnknown,
    Refused,
    TocsinError,
    TooBroad,
    Unauthenticated,
    Unavailable,
    UnknownEvent,
)
from entrypoints.http.codes import code_of

logger = logging.getLogger("tocsin.http")

Handler = Callable[[Request, Exception], Awaitable[Response]]

RETRY_AFTER_SECONDS = 1
MEDIA_TYPE = "application/problem+json"


class Problem(TocsinError):
    """The problem that answers a request; `members` are further fields of its JSON."""

    def __init__(
        self, status: int, code: str, detail: str, headers: dict[str, str] | None = None, **members: Any
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = headers
        self.members = members

    @property
    def body(self) -> dict[str, Any]:
        """The problem as JSON, without `type` (`about:blank`); `code` tells problems apart."""
        title = HTTPStatus(self.status).phrase
        fields = {"title": title, "status": self.status, "code": self.code, "detail": self.detail}
        return fields | self.members


def problem_of(error: Exception) -> Problem:  # noqa: PLR0911 (one for each kind of error)
    """Return the problem for an error; that of an internal error reveals nothing of its cause."""
    match error:
        case Problem():
            return error
        case Refused():
            members = {} if error.alarm is None else _as_it_stands(error.alarm)
            return Problem(code_of(error.refusal).status, error.code, error.detail, **members)
        case Unauthenticated():
            return Problem(401, error.code, error.detail, _challenge(error))
        case TooBroad():
            return Problem(422, "too_broad", str(error))
        case OutcomeUnknown():
            return _retry("outcome_unknown", str(error))
        case Unavailable():
            return _retry("unavailable", str(error))
        case UnknownEvent():
            # During a rolling upgrade another process may know the event.
            return _retry("newer_version", str(error))
        case _:
            return Problem(500, "internal", "this is a fault of the server; it has been logged")


def problem_code(answer: Response) -> str | None:
    """Return the code of the problem in an answer, None if the answer is no problem."""
    if answer.media_type != MEDIA_TYPE:
        return None
    code: str = msgspec.json.decode(answer.body)["code"]
    return code


def response(
    status: int, code: str, detail: str, headers: dict[str, str] | None = None, **members: Any
) -> Response:
    """Return a problem as a response."""
    return _answered(Problem(status, code, detail, headers, **members))


def _answered(problem: Problem) -> Response:
    content = msgspec.json.encode(problem.body)
    return Response(content, problem.status, problem.headers, MEDIA_TYPE)


def _retry(code: str, detail: str) -> Problem:
    return Problem(503, code, detail, {"Retry-After": str(RETRY_AFTER_SECONDS)})


def _challenge(error: Unauthenticated) -> dict[str, str]:
    """Return the header that says how to authenticate (RFC 6750 §3)."""
    invalid = "" if error.code == "token_missing" else ', error="invalid_token"'
    return {"WWW-Authenticate": f'Bearer realm="tocsin"{invalid}'}


def _as_it_stands(alarm: Alarm) -> dict[str, Any]:
    return {"state": alarm.state, "revision": alarm.revision, "allowed_commands": allowed_commands(alarm)}


async def on_known(_: Request, error: Exception) -> Response:
    """Answer an error that has a problem of its own."""
    return _answered(problem_of(error))


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Answer a refusal of the router."""
    assert isinstance(error, HTTPException)  # noqa: S101 (as HANDLERS has it)
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = ", ".join(_methods(request))
        if request.method == "OPTIONS":
            return Response(status_code=204, headers={"Allow": f"{allowed}, OPTIONS"})
        detail = f"{request.method} is not possible here; use {allowed}"
        return response(error.status_code, "method_not_allowed", detail, {"Allow": allowed})
    if error.status_code == HTTPStatus.NOT_FOUND:
        return response(error.status_code, "not_found", "there is nothing at this path")
    headers = dict(error.headers) if error.headers else None
    return response(error.status_code, "http_error", error.detail, headers)


def _methods(request: Request) -> list[str]:
    """Return the methods of the path; the router itself knows only those of the first matching route."""
    routes = [route for route in request.app.routes if isinstance(route, Route)]
    here = [route for route in routes if route.matches(request.scope)[0] is not Match.NONE]
    return sorted({method for route in here for method in route.methods or ()})


async def on_disconnect(_: Request, __: Exception) -> Response:
    """Answer a client that disconnected in the middle of its request: nobody reads the answer."""
    return response(400, "incomplete_body", "the connection ended before the body did")


async def on_error(request: Request, error: Exception) -> Response:
    """Log an internal error, and answer it without revealing its cause."""
    logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return _answered(problem_of(error))


KNOWN: Mapping[type[Exception], Handler] = {
    Problem: on_known,
    Refused: on_known,
    Unauthenticated: on_known,
    Unavailable: on_known,
    OutcomeUnknown: on_known,
    UnknownEvent: on_known,
    TooBroad: on_known,
    HTTPException: on_http_exception,
    ClientDisconnect: on_disconnect,
}
"""What answers each kind of error that is no fault of the server."""
HANDLERS: Mapping[Any, Handler] = {**KNOWN, Exception: on_error}
"""The same, and what answers all others, as Starlette takes them."""


def handler_of(error: Exception) -> Handler | None:
    """Return what answers the error; None: it is a fault of the server."""
    return next((KNOWN[kind] for kind in type(error).__mro__ if kind in KNOWN), None)

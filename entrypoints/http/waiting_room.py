"""Answers in place of the application while MongoDB is away and nothing can be served yet."""

from collections.abc import Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from entrypoints.http import problems
from entrypoints.http.problems import RETRY_AFTER_SECONDS
from entrypoints.http.responses import json_response
from entrypoints.http.routes.health import healthz
from entrypoints.http.schemas.answers import ReadinessAnswer

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def waiting_room(reason: Callable[[], str]) -> Starlette:
    """Return an application that lives, is not ready for this reason, and has nothing else to give."""

    async def readyz(_: Request) -> Response:
        return json_response(ReadinessAnswer("not ready", [reason()], [], []), 503)

    async def anything(_: Request) -> Response:
        return problems.response(503, "unavailable", reason(), {"Retry-After": str(RETRY_AFTER_SECONDS)})

    return Starlette(
        routes=[
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/{path:path}", anything, methods=METHODS),
        ]
    )

"""Counts HTTP requests by route and status, and logs them if the settings ask for it."""

import time
from collections.abc import MutableMapping
from typing import Any

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from core.counters import SECONDS, Histogram
from entrypoints.http.middleware.authorization import CALLER

logger = structlog.stdlib.get_logger("tocsin.requests")

UNROUTED = "(none)"
"""The route of requests that were answered before a route was found."""
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""Other methods are counted as one: a client must not be able to make up series."""


class Traffic:
    """Counts answers by method, route template and status, and their seconds by route.

    An event stream counts once, when it ends. `logs`: log a line for each request.
    """

    def __init__(self, *, logs: bool = False) -> None:
        self.answers: dict[tuple[str, str, int], int] = {}
        self.seconds: dict[str, Histogram] = {}
        self._logs = logs

    def count(self, scope: Scope, status: int, seconds: float) -> None:
        """Count an answered request."""
        route = getattr(scope.get("route"), "path", UNROUTED)
        method = scope["method"] if scope["method"] in METHODS else "other"
        counted = method, route, status
        self.answers[counted] = self.answers.get(counted, 0) + 1
        histogram = self.seconds.get(route)
        if histogram is None:
            histogram = self.seconds[route] = Histogram(SECONDS)
        histogram.observe(seconds)
        if self._logs:
            caller = scope.get(CALLER)
            logger.info(
                "request",
                method=scope["method"],
                path=scope["path"],
                status=status,
                ms=round(seconds * 1_000, 1),
                subject=None if caller is None else caller.subject,
            )


class Counting:
    """Counts every request; encloses all other middleware, to count refusals too."""

    def __init__(self, app: ASGIApp, traffic: Traffic) -> None:
        self._app = app
        self._traffic = traffic

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the application answer, and count the request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # A request without an answer counts as a server error: its connection is cut.
        status, began = 500, time.perf_counter()

        async def noting(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            self._traffic.count(scope, status, time.perf_counter() - began)

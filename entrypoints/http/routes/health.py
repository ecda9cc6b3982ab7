"""Answers whether the process runs, and whether it can serve."""

import asyncio

from starlette.requests import Request
from starlette.responses import Response

from core.application.lag import FEED, Lag
from core.errors import Unavailable
from entrypoints.http.operations import Routes
from entrypoints.http.responses import json_response
from entrypoints.http.schemas.answers import HealthAnswer, ReadinessAnswer
from entrypoints.http.state import services_of

ASK_SECONDS = 2.0
"""How long MongoDB may take to give the lags."""
FEED_SECONDS = 10.0
"""How far behind the log the feed of a ready process may be."""


routes = Routes("health")


@routes.declare(
    "GET",
    "/healthz",
    "healthz",
    "Answer whether the process runs",
    roles=None,
    answers={200: HealthAnswer},
    codes=(),
)
async def healthz(_: Request) -> Response:
    """Answer that the process runs."""
    return json_response(HealthAnswer("ok"))


@routes.declare(
    "GET",
    "/readyz",
    "readyz",
    "Answer whether the process can serve",
    roles=None,
    answers={200: ReadinessAnswer, 503: ReadinessAnswer},
    codes=(),
)
async def readyz(request: Request) -> Response:
    """Answer 200 if the process can serve, else 503 with the reasons."""
    services, lags = services_of(request), list[Lag]()
    reasons = services.not_ready()
    try:
        async with asyncio.timeout(ASK_SECONDS):
            lags = list(await services.lags())
    except (Unavailable, TimeoutError):
        reasons.append("MongoDB does not answer")
    for lag in lags:
        # A connected feed may still deliver nothing.
        if lag.projection == FEED and lag.seconds > FEED_SECONDS:
            reasons.append(f"the feed is {lag.seconds:.0f} s behind the log")
    answer = ReadinessAnswer("not ready" if reasons else "ready", reasons, lags)
    return json_response(answer, 503 if reasons else 200)

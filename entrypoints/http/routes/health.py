"""Answers whether the process runs, and whether it can serve."""

from typing import Literal

from starlette.requests import Request
from starlette.responses import Response

from entrypoints.http.operations import Routes
from entrypoints.http.responses import json_response
from entrypoints.http.schemas.answers import HealthAnswer, ReadinessAnswer
from entrypoints.http.state import services_of

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
    report = await services_of(request).readiness()
    status: Literal["ready", "not ready"] = "not ready" if report.reasons else "ready"
    answer = ReadinessAnswer(status, report.reasons, report.lags, report.warnings)
    return json_response(answer, 503 if report.reasons else 200)

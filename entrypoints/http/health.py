"""Whether the process runs, and whether it can serve."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from entrypoints.http.answers import HealthAnswer, ReadinessAnswer
from entrypoints.http.exchange import json_response, services


async def healthz(_: Request) -> Response:
    """Answer that the process runs."""
    return json_response(HealthAnswer("ok"))


async def readyz(request: Request) -> Response:
    """Answer 200 if the process can serve, else 503 with the reasons."""
    reasons = services(request).not_ready()
    answer = ReadinessAnswer("not ready" if reasons else "ready", reasons)
    return json_response(answer, 503 if reasons else 200)


ROUTES = [Route("/healthz", healthz), Route("/readyz", readyz)]

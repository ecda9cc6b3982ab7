"""Limits how many commands a process takes on at once, and how fast."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import ceil

from starlette.requests import Request
from starlette.responses import Response

from core.rates import Rates
from entrypoints.http.accept_and_match import check_acceptable
from entrypoints.http.operations import Endpoint
from entrypoints.http.problems import RETRY_AFTER_SECONDS, Problem
from entrypoints.http.requests import caller

UNDER_WAY = 10_000
"""The most commands under way in a process: fewer than the appender queues."""
BURST = 1_000
"""How many commands a tenant may send at once, whatever its rate: as many as one request holds."""


class Admission:
    """Counts the commands under way in this process, and limits the rate of each tenant's.

    `rate`: commands a second that a tenant may give this process; 0: no limit.
    """

    def __init__(self, rate: float = 0.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._rates = Rates(rate, max(rate, BURST)) if rate else None
        self._clock = clock
        self.under_way = 0

    @contextmanager
    def admit(self, tenant: str, commands: int) -> Iterator[None]:
        """Admit so many commands while the context lasts. Raises Problem 429: none is admitted."""
        if self.under_way + commands > UNDER_WAY:
            raise _too_many(f"{UNDER_WAY} commands are under way", RETRY_AFTER_SECONDS)
        seconds = self._rates.take(tenant, commands, self._clock()) if self._rates else 0.0
        if seconds > 0:
            raise _too_many("the tenant's commands come faster than is allowed", seconds)
        self.under_way += commands
        try:
            yield
        finally:
            self.under_way -= commands


def admission(request: Request) -> Admission:
    """Return the process's admission."""
    found: Admission = request.app.state.admission
    return found


def admitted(endpoint: Endpoint) -> Endpoint:
    """Return a command's endpoint behind the admission; 406 if the client does not accept the answer."""

    async def guarded(request: Request) -> Response:
        # Before the command: afterwards a 406 would hide that it was carried out.
        check_acceptable(request)
        with admission(request).admit(caller(request).tenant, 1):
            return await endpoint(request)

    return guarded


def _too_many(detail: str, seconds: float) -> Problem:
    return Problem(429, "too_many_requests", detail, {"Retry-After": str(ceil(seconds))})

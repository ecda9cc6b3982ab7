"""Limits how many commands a process takes on at once, and how fast."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import ceil

from core.rates import Rates
from entrypoints.http.problems import RETRY_AFTER_SECONDS, Problem

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

    def is_busy(self) -> bool:
        """Tell whether any command is under way."""
        return self.under_way > 0

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


def _too_many(detail: str, seconds: float) -> Problem:
    return Problem(429, "too_many_requests", detail, {"Retry-After": str(ceil(seconds))})

"""Tells whether this process is ready for clients."""

import asyncio
from collections.abc import Callable

import msgspec

from core.application.feed import Feed
from core.application.lag import FEED, Lag, LagMeter
from core.application.ports import Clients
from core.application.workers.worker import Worker
from core.errors import Unavailable

ASK_SECONDS = 2.0
"""How long MongoDB may take to give the lags."""
FEED_SECONDS = 10.0
"""How far behind the log the feed of a ready process may be."""


class ReadinessReport(msgspec.Struct, frozen=True, gc=False):
    """One line for each reason not to serve (none: the process is ready), and the lags, if they are known."""

    reasons: list[str]
    lags: list[Lag]


class Readiness:
    """Gathers the reasons not to serve: draining, the feed, the projector, the clock, MongoDB."""

    def __init__(
        self,
        feed: Feed,
        projector: Worker,
        clients: Clients,
        meter: LagMeter,
        clock_fault: Callable[[], str | None],
    ) -> None:
        """Take the parts to ask; `clock_fault` says what is wrong with the machine's clock."""
        self._feed = feed
        self._projector = projector
        self._clients = clients
        self._meter = meter
        self._clock_fault = clock_fault

    async def report(self) -> ReadinessReport:
        """Return the reasons not to serve, and the lags."""
        reasons, lags = self._known(), list[Lag]()
        try:
            async with asyncio.timeout(ASK_SECONDS):
                lags = await self._meter.lags()
        except (Unavailable, TimeoutError):
            reasons.append("MongoDB does not answer")
        reasons += [
            # A connected feed may still deliver nothing.
            f"the feed is {lag.seconds:.0f} s behind the log"
            for lag in lags
            if lag.projection == FEED and lag.seconds > FEED_SECONDS
        ]
        return ReadinessReport(reasons, lags)

    def _known(self) -> list[str]:
        """Return the reasons that this process knows without asking MongoDB."""
        reasons = ["it is draining: send no more clients here"] if self._clients.draining else []
        if self._feed.stopped is not None:
            reasons.append(f"the feed: stopped: {self._feed.stopped}")
        elif not self._feed.live:
            reasons.append("the feed is not connected to MongoDB")
        if self._projector.task.stopped:
            reasons.append(f"the projector: {self._projector.status}")
        clock = self._clock_fault()
        return reasons if clock is None else [*reasons, clock]

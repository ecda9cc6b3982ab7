"""Tells whether this process is ready for clients."""

import asyncio

import msgspec

from core.application.feed import Feed
from core.application.lag import FEED, Lag, LagMeter
from core.application.ports import Clients
from core.application.workers.worker import Worker
from core.errors import Unavailable

ASK_SECONDS = 2.0
"""How long MongoDB may take to give the lags."""
FRESH_SECONDS = 1.0
"""How long what MongoDB said is told again: anybody may ask, and as often as they like."""
FEED_SECONDS = 10.0
"""How far behind the log the feed of a ready process may be."""


class ReadinessReport(msgspec.Struct, frozen=True, gc=False):
    """One line for each reason not to serve (none: the process is ready), and the lags, if they are known."""

    reasons: list[str]
    lags: list[Lag]


class Readiness:
    """Gathers the reasons not to serve: draining, the feed, the projector, MongoDB."""

    def __init__(self, feed: Feed, projector: Worker, clients: Clients, meter: LagMeter) -> None:
        self._feed = feed
        self._projector = projector
        self._clients = clients
        self._meter = meter
        self._asking = asyncio.Lock()
        # The lags, None if MongoDB did not answer, and the loop's time when it was asked.
        self._asked: tuple[list[Lag] | None, float] | None = None

    async def report(self) -> ReadinessReport:
        """Return the reasons not to serve, and the lags, at most FRESH_SECONDS old."""
        reasons, found = self._known(), await self._lags()
        if found is None:
            reasons.append("MongoDB does not answer")
        lags = found or []
        reasons += [
            # A connected feed may still deliver nothing.
            f"the feed is {lag.seconds:.0f} s behind the log"
            for lag in lags
            if lag.projection == FEED and lag.seconds > FEED_SECONDS
        ]
        return ReadinessReport(reasons, lags)

    async def _lags(self) -> list[Lag] | None:
        """Return the lags, None if MongoDB does not tell; of many who ask, one asks it."""
        now = asyncio.get_running_loop().time
        async with self._asking:
            if self._asked is None or now() - self._asked[1] >= FRESH_SECONDS:
                try:
                    async with asyncio.timeout(ASK_SECONDS):
                        self._asked = await self._meter.lags(), now()
                except (Unavailable, TimeoutError):
                    self._asked = None, now()
            return self._asked[0]

    def _known(self) -> list[str]:
        """Return the reasons that this process knows without asking MongoDB."""
        reasons = ["it is draining: send no more clients here"] if self._clients.draining else []
        if self._feed.stopped is not None:
            reasons.append(f"the feed: stopped: {self._feed.stopped}")
        elif not self._feed.live:
            reasons.append("the feed is not connected to MongoDB")
        if self._projector.task.stopped:
            reasons.append(f"the projector: {self._projector.status}")
        return reasons

"""Tells whether this process is ready for clients."""

import asyncio
import logging
from collections.abc import Callable, Sequence

import msgspec

from core.application.background import Background
from core.application.feed import Feed
from core.application.lag import FEED, Lag, LagMeter
from core.application.ports import Clients
from core.application.workers.worker import Worker
from core.errors import Unavailable

logger = logging.getLogger("tocsin.readiness")

ASK_SECONDS = 2.0
"""How long MongoDB may take to give the lags."""
FRESH_SECONDS = 1.0
"""How long what MongoDB said is told again: anybody may ask, and as often as they like."""
FEED_SECONDS = 10.0
"""How far behind the log the feed of a ready process may be."""
PROJECTION_SECONDS = 10.0
"""How far behind a projection may be without a warning: a dead leader is replaced in half of it."""


class ReadinessReport(msgspec.Struct, frozen=True, gc=False):
    """One line for each reason not to serve (none: the process is ready), and the lags, if they are known.

    `warnings` name what is wrong beyond this process, or without harm to its clients: others serve no better.
    """

    reasons: list[str]
    lags: list[Lag]
    warnings: list[str]


class Readiness:
    """Gathers the reasons not to serve: draining, feed, projector, failing tasks, the clock, MongoDB."""

    def __init__(  # noqa: PLR0913 (the parts to ask)
        self,
        feed: Feed,
        projector: Worker,
        clients: Clients,
        meter: LagMeter,
        background: Background,
        *,
        clock_fault: Callable[[], str | None],
    ) -> None:
        """Take the parts to ask; `clock_fault` says what is wrong with the machine's clock."""
        self._background = background
        self._clock_fault = clock_fault
        self._feed = feed
        self._projector = projector
        self._clients = clients
        self._meter = meter
        self._warnings: list[Callable[[], list[str]]] = [lambda: background.troubles("working")]
        self._asking = asyncio.Lock()
        # The lags or why there are none, and the loop's time when MongoDB was asked.
        self._asked: tuple[list[Lag] | str, float] | None = None

    def warn_by(self, warnings: Callable[[], list[str]]) -> None:
        """Report these warnings too."""
        self._warnings.append(warnings)

    async def report(self) -> ReadinessReport:
        """Return the reasons not to serve, the lags, at most FRESH_SECONDS old, and the warnings."""
        reasons, found = self._known(), await self._lags()
        if isinstance(found, str):
            reasons.append(found)
        lags = [] if isinstance(found, str) else found
        reasons += [
            # A connected feed may still deliver nothing.
            f"the feed is {lag.seconds:.0f} s behind the log"
            for lag in lags
            if lag.projection == FEED and lag.seconds > FEED_SECONDS
        ]
        warnings = [line for each in self._warnings for line in each()]
        return ReadinessReport(reasons, lags, warnings + _behind(lags))

    async def _lags(self) -> list[Lag] | str:
        """Return the lags, or why MongoDB does not tell them; of many who ask, one asks it."""
        now = asyncio.get_running_loop().time
        async with self._asking:
            if self._asked is None or now() - self._asked[1] >= FRESH_SECONDS:
                self._asked = await self._measured(), now()
            return self._asked[0]

    async def _measured(self) -> list[Lag] | str:
        try:
            async with asyncio.timeout(ASK_SECONDS):
                return await self._meter.lags()
        except (Unavailable, TimeoutError):
            return "MongoDB does not answer"
        except Exception as error:
            # Whoever asks must get an answer, above all when something is wrong.
            logger.exception("the lags cannot be measured")
            return f"the log cannot be read: {type(error).__name__}"

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
        if clock is not None:
            reasons.append(clock)
        return reasons + self._background.troubles("serving")


def _behind(lags: Sequence[Lag]) -> list[str]:
    """Return a line for each projection that is behind.

    It is behind for all processes alike: sending clients elsewhere would help nobody and take every process
    away, with commands and streams that need no projection.
    """
    return [
        f"the projection {lag.projection} is {lag.seconds:.0f} s behind the log: does a worker run?"
        for lag in lags
        if lag.projection != FEED and lag.seconds > PROJECTION_SECONDS
    ]

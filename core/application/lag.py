"""How far whatever follows the log is behind it."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from core.application.feed import Feed
from core.coordination.ports import CheckpointReader
from core.host import Clock
from core.log.ports import LogPositions

FEED = "feed"
"""The name that the process's own feed goes by."""


class Lag(msgspec.Struct, frozen=True, gc=False):
    """How many events a projection, or the feed, lacks, and the age of the oldest of them (s)."""

    projection: str
    positions: int
    seconds: float


class LagMeter:
    """Measures the process's feed and the projections, each by the name of its checkpoint."""

    def __init__(
        self,
        log: LogPositions,
        feed: Feed,
        checkpoints: CheckpointReader,
        projections: Sequence[str],
        clock: Clock,
    ) -> None:
        self._log = log
        self._feed = feed
        self._checkpoints = checkpoints
        self._projections = projections
        self._clock = clock

    async def lags(self) -> list[Lag]:
        """Measure the feed, then each projection. Raises Unavailable."""
        places = {name: (await self._checkpoints.load(name)).position for name in self._projections}
        return await lags(self._log, {FEED: self._feed.position, **places}, self._clock.now())


async def lags(log: LogPositions, places: Mapping[str, int], now: datetime) -> list[Lag]:
    """Measure each against the log itself, since a dead feed would know of nothing. Raises Unavailable.

    Positions alone make one look well that stands still on a quiet log; so the age counts as well.
    """
    tail = await log.tail()
    found = []
    for name, position in places.items():
        waiting = await log.stamp(position + 1) if position < tail.position else None
        since = now if waiting is None or waiting.at is None else waiting.at
        found.append(Lag(name, max(0, tail.position - position), max(0.0, (now - since).total_seconds())))
    return found

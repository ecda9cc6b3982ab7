"""Measures how far the feed and the projections lag behind the log."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from core.application.feed import Feed
from core.coordination.ports import CheckpointReader
from core.host import Clock
from core.log.ports import LogPositions

FEED = "feed"
"""The name of the process's own feed."""


class Lag(msgspec.Struct, frozen=True, gc=False):
    """How many events a projection or the feed lacks, and the age of the oldest of them (s)."""

    projection: str
    positions: int
    seconds: float


class LagMeter:
    """Measures the process's feed, and the projections by the names of their checkpoints."""

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
    """Measure each position against the log itself: a dead feed would notice no lag. Raises Unavailable.

    A projection that stands still on a quiet log lacks few positions, so the age counts as well.
    """
    tail = await log.tail()
    measured = []
    for name, position in places.items():
        oldest = await log.stamp(position + 1) if position < tail.position else None
        since = now if oldest is None or oldest.at is None else oldest.at
        measured.append(Lag(name, max(0, tail.position - position), max(0.0, (now - since).total_seconds())))
    return measured

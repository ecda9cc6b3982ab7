"""Keeps the outbox's backlog for a while: counting it costs the more the more rows wait."""

import asyncio
from collections.abc import Sequence

from core.application.waiting import loop_time
from core.outbox.ports import Backlog, BacklogReader

FRESH_SECONDS = 10.0
"""How long a count serves all who ask."""
PAUSE_PER_SECOND = 20
"""How many seconds pass after a count for each second that it took: it takes a twentieth of the time."""
LONGEST_SECONDS = 300.0
"""How old a count may be at most."""


class RecentBacklog:
    """Counts the outbox's backlog once in a while (see core.outbox.ports.BacklogReader), for all who ask.

    A count that is no longer fresh is given all the same, while the next one is under way.
    """

    def __init__(self, outbox: BacklogReader) -> None:
        self._outbox = outbox
        self._counting: asyncio.Future[None] | None = None
        self._counted: Sequence[Backlog] = ()
        self._at = float("-inf")
        self._pause = 0.0

    async def backlog(self) -> Sequence[Backlog]:
        """Return the backlog as it was at most LONGEST_SECONDS ago. Raises Unavailable."""
        age = loop_time() - self._at
        if age < self._pause:
            return self._counted
        if self._counting is None or self._counting.done():
            self._counting = asyncio.ensure_future(self._count())
            self._counting.add_done_callback(_see)
        if age >= LONGEST_SECONDS:
            # Whoever stops waiting leaves the count to the next who asks.
            await asyncio.shield(self._counting)
        return self._counted

    async def _count(self) -> None:
        began = loop_time()
        self._counted = await self._outbox.backlog()
        self._at = loop_time()
        self._pause = min(LONGEST_SECONDS, max(FRESH_SECONDS, PAUSE_PER_SECOND * (self._at - began)))


def _see(counting: "asyncio.Future[None]") -> None:
    """Mark a count's error as seen: nobody may be waiting for it."""
    if not counting.cancelled():
        counting.exception()

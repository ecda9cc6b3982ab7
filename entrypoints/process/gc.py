"""Keeps Python's garbage collector from stopping the event loop while it scans every session."""

import asyncio
import gc
from collections.abc import Callable

LOOK_SECONDS = 1.0
GROWN = 500
"""After how many new sessions the objects that live by then are exempted too."""
ENDED = 2_000
"""After how many ended sessions, at least, exempted objects are collected: some are garbage by then."""

YOUNG = 10_000
"""After how many new objects the young ones are collected. Python's own 700 are few: a command makes
hundreds, and hardly any of them is part of a cycle."""

Counts = Callable[[], tuple[int, int]]
"""Returns how many sessions were ever opened, and how many are open."""


class Collector:
    """Exempts long-lived objects from collections (`gc.freeze`).

    A full collection takes time in proportion to the live objects: with thousands of sessions, hundreds of
    milliseconds in which nothing is delivered. Exempted objects are still freed when nothing refers to them,
    but not if they are part of a cycle, as a connection is. So the exemption ends now and then.
    """

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._opened_then = 0
        self._ended_then = 0

    async def run(self) -> None:
        """Exempt the objects of the start, then those of new sessions, until cancelled."""
        gc.set_threshold(YOUNG, *gc.get_threshold()[1:])
        gc.collect()
        gc.freeze()
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self.look()

    def look(self) -> None:
        """Exempt or collect objects if enough sessions have opened or ended."""
        opened, now = self._counts()
        if opened - now - self._ended_then >= max(ENDED, now):
            self._ended_then = opened - now
            gc.unfreeze()
            gc.collect()
        elif opened - self._opened_then < GROWN:
            return
        else:
            # Garbage among the young objects must not be exempted.
            gc.collect(1)
        self._opened_then = opened
        gc.freeze()

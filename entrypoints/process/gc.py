"""Python's garbage collector, kept from stopping the event loop while it looks through every session."""

import asyncio
import gc
from collections.abc import Callable

LOOK_SECONDS = 1.0
GROWN = 500
"""After how many new sessions what there is now is exempted too."""
ENDED = 2_000
"""After how many ended sessions, at least, the exempted are looked through: some are garbage by then."""

YOUNG = 10_000
"""After how many new objects the young ones are looked through. Python's own 700 are few: a command makes
hundreds, and hardly any of them refers to itself."""

Counts = Callable[[], tuple[int, int]]
"""Returns how many sessions were ever opened, and how many of them are open."""


class Collector:
    """Exempts what lives long from collections (`gc.freeze`).

    A collection of everything takes time in proportion to what lives: with thousands of sessions, hundreds
    of milliseconds, in which nothing is delivered. What is exempted is freed as ever when nothing refers to
    it any more, but not if it refers to itself, as a connection does. So the exemption ends now and then.
    """

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._opened_then = 0
        self._ended_then = 0

    async def run(self) -> None:
        """Exempt what the process was started with, and then what comes with its sessions, for ever."""
        gc.set_threshold(YOUNG, *gc.get_threshold()[1:])
        gc.collect()
        gc.freeze()
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self.look()

    def look(self) -> None:
        """Do what the number of sessions calls for."""
        opened, now = self._counts()
        if opened - now - self._ended_then >= max(ENDED, now):
            self._ended_then = opened - now
            gc.unfreeze()
            gc.collect()
        elif opened - self._opened_then < GROWN:
            return
        else:
            # What is young and garbage already must not be exempted.
            gc.collect(1)
        self._opened_then = opened
        gc.freeze()

"""Reconnects after each failure, for ever, with growing pauses."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from core.backoff import backoff
from core.errors import Unavailable
from core.host import Chance

LONGEST_PAUSE_SECONDS = 2.0


class Reconnecting:
    """Keeps one connection: runs it again whenever it ends, and pauses if it could not be reached."""

    def __init__(self, chance: Chance, logger: logging.Logger) -> None:
        self._chance = chance
        self._logger = logger
        self._failures = 0

    def succeeded(self) -> None:
        """Begin with short pauses again: the connection has brought something."""
        self._failures = 0

    async def run(self, connected: Callable[[], Awaitable[None]]) -> None:
        """Run `connected` again and again; it returns or raises Unavailable when its connection ends."""
        while True:
            try:
                await connected()
            except Unavailable as error:
                self._failures += 1
                level = logging.INFO if self._failures == 1 else logging.WARNING
                self._logger.log(level, "reconnecting: %s", error)
                await asyncio.sleep(backoff(self._failures, 0.01, LONGEST_PAUSE_SECONDS, self._chance()))

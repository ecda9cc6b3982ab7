"""Compares the settings that all processes on a database must share, and tells which of them differ."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress

from core.coordination.ports import SettingsBoard
from core.errors import Unavailable
from core.host import Chance

logger = logging.getLogger("tocsin.settings")

COMPARE_SECONDS = 30.0
"""How often a process announces its settings, and compares them with those of the others."""
ANNOUNCED_SECONDS = 3 * COMPARE_SECONDS
"""How long the settings of a killed process still count."""

WITHDRAW_SECONDS = 1.0

Digests = Callable[[], Mapping[str, str]]
"""Returns the digest of each setting that must agree, by the setting's name."""


class Agreement:
    """Announces this process's settings as digests, and compares them with those of the other processes.

    Nothing stops where they differ: which process is right, only people know.
    """

    def __init__(self, board: SettingsBoard, process: str, digests: Digests, chance: Chance) -> None:
        self._board = board
        self._process = process
        self._digests = digests
        self._chance = chance
        self.differing: frozenset[str] = frozenset()
        """The names of the settings that another process has otherwise."""

    def warnings(self) -> list[str]:
        """Return one line for each setting that differs."""
        return [f"another process has another {name}" for name in sorted(self.differing)]

    async def run(self) -> None:
        """Compare for ever."""
        try:
            while True:
                with suppress(Unavailable):
                    await self.compare()
                await asyncio.sleep(COMPARE_SECONDS * (0.75 + self._chance() / 4))
        finally:
            with suppress(Unavailable, TimeoutError):
                async with asyncio.timeout(WITHDRAW_SECONDS):
                    await self._board.withdraw(self._process)

    async def compare(self) -> None:
        """Announce and compare the settings; log what begins or ceases to differ. Raises Unavailable."""
        own = self._digests()
        others = await self._board.post(self._process, own, ANNOUNCED_SECONDS)
        differing = frozenset(
            name for other in others for name in own.keys() & other.keys() if own[name] != other[name]
        )
        for name in sorted(differing - self.differing):
            logger.warning("another process has another %s: set the same for all", name)
        for name in sorted(self.differing - differing):
            logger.info("all processes have the same %s again", name)
        self.differing = differing

"""The processes in memory, for tests."""

from collections.abc import Callable
from time import monotonic


class MemoryPresence:
    """The processes (see core.ports.Presence); `clock` tells seconds."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._until: dict[str, float] = {}

    async def announce(self, process: str, seconds: float) -> int:
        """Say that the process is there for so long; return how many are."""
        self._until[process] = self._clock() + seconds
        return sum(until > self._clock() for until in self._until.values())

    async def leave(self, process: str) -> None:
        """Say that the process is gone."""
        self._until.pop(process, None)

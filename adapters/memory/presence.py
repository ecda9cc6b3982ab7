"""The processes in memory, for tests."""

from collections.abc import Callable
from time import monotonic


class MemoryPresence:
    """The processes (see core.coordination.ports.Presence); `clock` tells seconds."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._present: dict[str, tuple[float, int]] = {}

    async def announce(self, process: str, leading: int, seconds: float) -> int | None:
        """Say that the process is there for so long; return the fewest another one leads."""
        now = self._clock()
        self._present[process] = now + seconds, leading
        others = [led for name, (until, led) in self._present.items() if name != process and until > now]
        return min(others, default=None)

    async def leave(self, process: str) -> None:
        """Say that the process is gone."""
        self._present.pop(process, None)

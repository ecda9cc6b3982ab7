"""The settings of the running processes in memory, for tests."""

from collections.abc import Callable, Mapping, Sequence
from time import monotonic


class MemorySettingsBoard:
    """The processes' settings (see core.coordination.ports.SettingsBoard); `clock` returns seconds."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._posted: dict[str, tuple[float, Mapping[str, str]]] = {}

    async def post(
        self, process: str, digests: Mapping[str, str], seconds: float
    ) -> Sequence[Mapping[str, str]]:
        """Announce the process's settings; return those of the others."""
        now = self._clock()
        self._posted[process] = now + seconds, dict(digests)
        return [posted for name, (until, posted) in self._posted.items() if name != process and until > now]

    async def withdraw(self, process: str) -> None:
        """Remove the process's settings."""
        self._posted.pop(process, None)

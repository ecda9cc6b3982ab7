"""Background tasks: one that ends unexpectedly is logged, started again, and named at `/readyz`."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Literal

from core.application.waiting import loop_time
from core.backoff import backoff
from core.host import Chance

logger = logging.getLogger("tocsin.background")

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 5.0
STEADY_SECONDS = 10.0
"""How long a task must run after a failure to count as mended; its pauses then start at the shortest."""

Need = Literal["serving", "working"]
"""What fails with the task: `serving` clients, or `working` for all processes, which another one can do."""

Start = Callable[[], Coroutine[Any, Any, None]]
"""Makes the task's coroutine, anew for each start."""


@dataclass(slots=True)
class _Failing:
    """A task that has failed `times` in a row; `since`: when it was last started, None while it waits."""

    need: Need
    error: str
    times: int = 1
    since: float | None = None

    @property
    def mended(self) -> bool:
        return self.since is not None and loop_time() - self.since >= STEADY_SECONDS


class Background:
    """Keeps the background tasks of a process running, whatever error one of them meets."""

    def __init__(self, chance: Chance) -> None:
        self._chance = chance
        self._failing: dict[str, _Failing] = {}

    def troubles(self, need: Need) -> list[str]:
        """Return one line for each task of this need that has failed and is not steady again."""
        return [
            f"{name} failed with {failing.error} and is started again"
            for name, failing in self._failing.items()
            if failing.need == need and not failing.mended
        ]

    async def keep(self, name: str, need: Need, start: Start) -> None:
        """Run the task, and start it again after each error; return when it returns by itself."""
        while True:
            try:
                await start()
            except Exception as error:
                failing = self._failed(name, need, error)
                logger.exception("%s failed and is started again", name)
            else:
                self._failing.pop(name, None)
                return
            pause = backoff(failing.times, FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, self._chance())
            await asyncio.sleep(pause)
            failing.since = loop_time()

    def _failed(self, name: str, need: Need, error: Exception) -> _Failing:
        before = self._failing.get(name)
        times = 1 if before is None or before.mended else before.times + 1
        failing = self._failing[name] = _Failing(need, _kind(error), times)
        return failing


def _kind(error: Exception) -> str:
    """Return the name of the error's class: its text may quote what no stranger may read at `/readyz`."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return type(error).__name__

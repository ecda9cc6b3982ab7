"""Balances the worker tasks over the processes: a process that leads too many steps down from some."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from core.application.workers.leader import LeaderTask
from core.coordination.ports import Presence
from core.errors import Unavailable
from core.host import Chance

PRESENT_SECONDS = 30.0
"""How long a killed process still counts."""
LOOK_SECONDS = 10.0
"""How often a process announces itself, and checks whether it leads too many tasks."""
LEAVE_SECONDS = 1.0


class Balancing:
    """Announces this process, and keeps it from leading more than its share.

    Correctness does not rest on it: any process may lead. Each look steps down from one task at most, and the
    process then leaves that lease alone long enough for another to take it.
    """

    def __init__(self, presence: Presence, process: str, tasks: Sequence[LeaderTask], chance: Chance) -> None:
        self._presence = presence
        self._process = process
        self._tasks = tasks
        self._chance = chance

    async def run(self) -> None:
        """Look for ever."""
        try:
            while True:
                with suppress(Unavailable):
                    await self.look()
                await asyncio.sleep(LOOK_SECONDS * (0.75 + self._chance() / 4))
        finally:
            with suppress(Unavailable, TimeoutError):
                async with asyncio.timeout(LEAVE_SECONDS):
                    await self._presence.leave(self._process)

    async def look(self) -> None:
        """Step down from a task if another process leads two fewer. Raises Unavailable."""
        if any(task.stopped for task in self._tasks):
            # This process can take no task that another steps down from.
            await self._presence.leave(self._process)
            return
        leading = [task for task in self._tasks if task.leading]
        fewest = await self._presence.announce(self._process, len(leading), PRESENT_SECONDS)
        # A difference of one would send the task back and forth.
        if fewest is not None and len(leading) > fewest + 1:
            leading[-1].step_down()

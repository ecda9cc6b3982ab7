"""Balancing the worker tasks over the processes: who leads more than its share lets go of some."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from core.application.workers.leader import LeaderTask
from core.coordination.ports import Presence
from core.errors import Unavailable
from core.host import Chance

PRESENT_SECONDS = 30.0
"""For how long a process that was killed counts."""
LOOK_SECONDS = 10.0
"""How often a process says that it is there, and looks whether it leads too much."""
LEAVE_SECONDS = 1.0


class Balancing:
    """Says that this process is there, and keeps it from leading more than its share.

    Nothing rests on it: whoever leads, leads rightly. At each look one task at most is let go of, and whoever
    did keeps away from it long enough for another to come first.
    """

    def __init__(self, presence: Presence, process: str, tasks: Sequence[LeaderTask], chance: Chance) -> None:
        self._presence = presence
        self._process = process
        self._tasks = tasks
        self._chance = chance

    async def run(self) -> None:
        """Look again and again, for ever."""
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
        """Let go of a task if another process leads two fewer. Raises Unavailable."""
        if any(task.stopped for task in self._tasks):
            # It takes no share any more, and nobody is to wait for that.
            await self._presence.leave(self._process)
            return
        leading = [task for task in self._tasks if task.leading]
        fewest = await self._presence.announce(self._process, len(leading), PRESENT_SECONDS)
        # One more is no reason: the task would go back and forth.
        if fewest is not None and len(leading) > fewest + 1:
            leading[-1].step_down()

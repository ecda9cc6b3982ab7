"""Several server processes on one host: started, replaced when they die, ended together."""

import asyncio
import logging
import random
import signal
from collections.abc import Sequence

from core.backoff import backoff
from entrypoints.cli.runner import REFUSED

logger = logging.getLogger("tocsin.supervisor")

RESTART_SECONDS = 30.0
"""The longest pause before a process that keeps dying is started again."""
STEADY_SECONDS = 10.0
"""How long a process must have run for its end to count as the first."""
GRACE_SECONDS = 15.0
"""How long a process may take beyond its draining until it is killed."""


class Supervisor:
    """Runs one child for each command until a signal ends them all.

    SIGTERM, SIGINT: all drain at once. A child that was sent a SIGTERM by somebody else drains and is
    started anew: that is how they are renewed one by one. `drain_seconds`: how long a child drains.
    """

    def __init__(self, commands: Sequence[Sequence[str]], drain_seconds: float) -> None:
        self._commands = commands
        self._patience = drain_seconds + GRACE_SECONDS
        self._ending = asyncio.Event()
        self._children: dict[int, asyncio.subprocess.Process] = {}
        self._refused = False

    async def run(self) -> int:
        """Run until a signal; return the exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._ending.set)
        try:
            async with asyncio.TaskGroup() as tasks:
                for index in range(len(self._commands)):
                    tasks.create_task(self._keep(index))
        finally:
            for child in self._children.values():
                child.kill()
        return REFUSED if self._refused else 0

    async def _keep(self, index: int) -> None:
        """Keep one child running until the end."""
        ends, loop = 0, asyncio.get_running_loop()
        while not self._ending.is_set():
            began = loop.time()
            code = await self._live(index)
            if self._ending.is_set():
                return
            if code == REFUSED:
                # Trying again would not help.
                self._refused = True
                self._ending.set()
                return
            ends = 1 if loop.time() - began >= STEADY_SECONDS else ends + 1
            pause = backoff(ends, 0.1, RESTART_SECONDS, random.random())
            logger.error("process %d ended with %d: started again in %.1f s", index, code, pause)
            await self._ended_within(pause)

    async def _live(self, index: int) -> int:
        """Run one child to its end, which comes with the supervisor's at the latest; return its exit code."""
        # A session of its own: Ctrl-C reaches the supervisor alone, and from it the children once.
        child = await asyncio.create_subprocess_exec(*self._commands[index], start_new_session=True)
        self._children[index] = child
        logger.info("process %d is %d", index, child.pid)
        gone, ending = asyncio.ensure_future(child.wait()), asyncio.ensure_future(self._ending.wait())
        try:
            await asyncio.wait({gone, ending}, return_when=asyncio.FIRST_COMPLETED)
            if not gone.done():
                child.terminate()
                await self._gone(child, gone)
            return await gone
        finally:
            ending.cancel()
            self._children.pop(index, None)

    async def _gone(self, child: asyncio.subprocess.Process, gone: "asyncio.Future[int]") -> None:
        """Wait for a child that was told to end, and kill it when it does not."""
        await asyncio.wait({gone}, timeout=self._patience)
        if not gone.done():
            logger.error("%d does not end: killed", child.pid)
            child.kill()

    async def _ended_within(self, seconds: float) -> None:
        """Wait, but not beyond the end."""
        ending = asyncio.ensure_future(self._ending.wait())
        await asyncio.wait({ending}, timeout=seconds)
        ending.cancel()

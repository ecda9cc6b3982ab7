"""Supervises several server processes on one host: starts, restarts and ends them."""

import asyncio
import logging
import random
import signal
from collections.abc import Sequence

from core.application.waiting import first_of
from core.backoff import backoff
from entrypoints.cli.runner import REFUSED

logger = logging.getLogger("tocsin.supervisor")

RESTART_SECONDS = 30.0
"""The longest pause before a process that keeps dying is restarted."""
STEADY_SECONDS = 10.0
"""How long a process must run for the pauses to start over at the shortest."""
GRACE_SECONDS = 15.0
"""How long a process may take to exit, beyond draining, before it is killed."""


class Supervisor:
    """Runs one child for each command until a signal ends them all.

    SIGTERM or SIGINT drains all at once. A child that gets a SIGTERM of its own drains and is restarted,
    which allows a rolling restart. `drain_seconds`: how long a child drains.
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
        """Keep one child running until the supervisor ends."""
        ends, loop = 0, asyncio.get_running_loop()
        while not self._ending.is_set():
            began = loop.time()
            code = await self._live(index)
            if self._ending.is_set():
                return
            if code == REFUSED:
                # A restarted process would be refused as well.
                self._refused = True
                self._ending.set()
                return
            ends = 1 if loop.time() - began >= STEADY_SECONDS else ends + 1
            pause = backoff(ends, 0.1, RESTART_SECONDS, random.random())
            logger.error("process %d exited with code %d: restarting in %.1f s", index, code, pause)
            await self._sleep(pause)

    async def _live(self, index: int) -> int:
        """Run one child until it exits or the supervisor ends it; return its exit code."""
        child = await asyncio.create_subprocess_exec(
            *self._commands[index],
            # Its end tells the child that the supervisor is gone, where Linux does not (see `child`).
            stdin=asyncio.subprocess.PIPE,
            # Ctrl-C reaches the supervisor alone, which then ends each child once.
            start_new_session=True,
        )
        self._children[index] = child
        logger.info("process %d has pid %d", index, child.pid)
        exited = asyncio.ensure_future(child.wait())
        try:
            await first_of(self._ending.wait(), watched=[exited])
            if not exited.done():
                child.terminate()
                await self._exit_or_kill(child, exited)
            return await exited
        finally:
            self._children.pop(index, None)

    async def _exit_or_kill(self, child: asyncio.subprocess.Process, exited: "asyncio.Future[int]") -> None:
        """Wait for a terminated child to exit, and kill it if it takes too long."""
        await asyncio.wait({exited}, timeout=self._patience)
        if not exited.done():
            logger.error("the process with pid %d did not exit in time: killing it", child.pid)
            child.kill()

    async def _sleep(self, seconds: float) -> None:
        """Sleep, but return as soon as the supervisor ends."""
        await first_of(self._ending.wait(), asyncio.sleep(seconds))

"""Starts a process for as long as it takes: while MongoDB is away it waits, not ready, and tries again."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from itertools import count

from core.application.waiting import cancelled, first_of, loop_time
from core.backoff import backoff
from core.errors import Unavailable
from entrypoints.http.waiting_room import waiting_room
from entrypoints.process.settings import Settings
from entrypoints.process.sockets import listening
from entrypoints.process.uvicorn_server import serving, signalled

logger = logging.getLogger("tocsin.start")

FIRST_PAUSE_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 2.0
"""The longest pause between two tries, each of which itself waits up to 5 s for a primary."""
LINE_SECONDS = 5.0
"""How often the log says, at most, that MongoDB is still away."""


class WaitingRoom:
    """Serves /healthz and /readyz on the process's own address while it cannot start."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._reason = ""
        self._open = AsyncExitStack()
        self._opened = False
        self._said = float("-inf")

    async def admit(self, reason: str) -> None:
        """Open the room if it is closed, and say why. Raises StartupRefused: the address is not available."""
        self._reason = f"waiting for MongoDB: {reason}"
        if loop_time() - self._said >= LINE_SECONDS:
            self._said = loop_time()
            logger.warning("%s", self._reason)
        if not self._opened:
            settings = self._settings
            listener = self._open.enter_context(
                listening(settings.host, settings.port, shared=settings.shared_port)
            )
            room = waiting_room(lambda: self._reason)
            await self._open.enter_async_context(serving(room, settings, listener))
            self._opened = True

    async def close(self) -> None:
        """Leave the address to the process itself."""
        self._opened = False
        await self._open.aclose()


async def run_when_possible(settings: Settings, run: Callable[[WaitingRoom], Awaitable[None]]) -> None:
    """Run, and try again for ever while MongoDB is away; SIGINT or SIGTERM ends a start at once.

    `run` closes the room before it listens itself, and handles signals from then on.

    Raises:
        StartupRefused: waiting would not help.
    """
    ending, room = signalled(), WaitingRoom(settings)
    running = asyncio.ensure_future(_tried_again(room, run))
    try:
        await first_of(ending.wait(), watched=[running])
    finally:
        await cancelled([running])
        await room.close()
    if not running.cancelled():
        running.result()


async def _tried_again(room: WaitingRoom, run: Callable[[WaitingRoom], Awaitable[None]]) -> None:
    for tries in count(1):
        try:
            await run(room)
        except (Unavailable, ExceptionGroup) as error:
            await room.admit(str(_unavailable(error)))
        else:
            return
        await asyncio.sleep(backoff(tries, FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, random.random()))


def _unavailable(error: Unavailable | ExceptionGroup[Exception]) -> Unavailable:
    """Return the one error of a process's task groups. Raises the group: it is another error."""
    single: Exception = error
    while isinstance(single, ExceptionGroup) and len(single.exceptions) == 1:
        single = single.exceptions[0]
    if not isinstance(single, Unavailable):
        raise error
    return single

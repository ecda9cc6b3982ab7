"""Timers: what happens to sessions as time passes, with one task of each kind for all of them."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

from adapters.streaming.peer import Peer
from adapters.streaming.sending import Sending
from core.delivery.delivery import Delivery
from core.delivery.protocol import TOO_SLOW
from core.delivery.session import Session

logger = logging.getLogger("tocsin.delivery")

POSITION_SECONDS = 5.0
"""How often the sessions are looked through for those that have heard nothing for long."""
HEARTBEAT_SECONDS = 15.0
"""How often a client over HTTP hears something: intermediaries end what is silent for 30 s and more."""
LOOK_SECONDS = 30.0
"""How long it is slept at most until a deadline: the clock may be set meanwhile."""


class Timers:
    """Tells clients how far they are, beats, and ends sessions whose time is over or whose socket stalls."""

    def __init__(self, delivery: Delivery[Peer], sending: Sending, stall_seconds: float) -> None:
        self._delivery = delivery
        self._sending = sending
        self._stall_seconds = stall_seconds
        self._hurried = asyncio.Event()

    def hurry(self) -> None:
        """Look again for the next deadline: it may have come nearer."""
        self._hurried.set()

    async def run(self, cut: Callable[[Session[Peer], int, str], None]) -> None:
        """Run for ever; `cut` closes the socket of a session that takes nothing."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch_stalls(cut))
            tasks.create_task(self._watch_deadlines())
            tasks.create_task(self._repeat(POSITION_SECONDS, self._delivery.tick))
            tasks.create_task(self._repeat(HEARTBEAT_SECONDS, self._delivery.beat))

    async def _repeat(self, seconds: float, work: Callable[[], None]) -> None:
        while True:
            await asyncio.sleep(seconds)
            work()
            self._sending.wake()

    async def _watch_stalls(self, cut: Callable[[Session[Peer], int, str], None]) -> None:
        while True:
            await asyncio.sleep(min(1.0, self._stall_seconds / 4))
            too_long = asyncio.get_running_loop().time() - self._stall_seconds
            for session in self._sending.blocked_since(too_long):
                logger.info("a client of %s took nothing for too long", session.subject)
                cut(session, TOO_SLOW, "too slow")

    async def _watch_deadlines(self) -> None:
        while True:
            self._hurried.clear()
            now = datetime.now(UTC)
            self._delivery.end_overdue(now)
            self._sending.wake()
            following = self._delivery.next_deadline
            left = LOOK_SECONDS if following is None else (following - now).total_seconds()
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left, LOOK_SECONDS)):
                    await self._hurried.wait()

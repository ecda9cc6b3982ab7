"""Draining: every client is sent away, so that the process can end."""

import asyncio
import random
from collections.abc import Callable

from adapters.streaming.peer import Peer
from core.delivery.delivery import Delivery
from core.delivery.protocol import RESTART
from core.delivery.session import Session

DRAIN_SECONDS = 5.0
DRAIN_BATCHES = 20
RETRY_AFTER_MS = 5_000
"""When clients are told to come back, at the latest: spread, or they would come all at once."""


def send_away(delivery: Delivery[Peer], session: Session[Peer]) -> None:
    """Close a session, with a word when to come back, to any process."""
    delivery.goodbye(session, RESTART, "restart", random.randint(0, RETRY_AFTER_MS))


class Draining:
    """Sends the sessions of a delivery away; `wake` is called whenever there is something to send."""

    def __init__(self, delivery: Delivery[Peer], wake: Callable[[], None]) -> None:
        self._delivery = delivery
        self._wake = wake
        self._empty = asyncio.Event()
        self.begun = False

    def opened(self, session: Session[Peer]) -> None:
        """Take note of a new session, which is sent away at once if draining has begun."""
        self._empty.clear()
        if self.begun:
            send_away(self._delivery, session)

    def closed(self) -> None:
        """Take note that a session was forgotten."""
        if not self._delivery.sessions:
            self._empty.set()

    async def run(self, seconds: float, cut: Callable[[Session[Peer], int, str], None]) -> None:
        """Send every client away, a part at a time; `cut` closes the sockets of those that stay."""
        self.begun = True
        sessions = list(self._delivery.sessions)
        size = max(1, -(-len(sessions) // DRAIN_BATCHES))
        for start in range(0, len(sessions), size):
            for session in sessions[start : start + size]:
                send_away(self._delivery, session)
            self._wake()
            await asyncio.sleep(seconds / 2 / DRAIN_BATCHES)
        try:
            async with asyncio.timeout(seconds / 2):
                if self._delivery.sessions:
                    await self._empty.wait()
        except TimeoutError:
            for session in list(self._delivery.sessions):
                cut(session, RESTART, "restart")

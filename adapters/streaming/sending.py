"""Sending: one task for all sessions of the process writes the delivery's messages to their sockets."""

import asyncio
from collections.abc import Callable, Sequence
from itertools import takewhile
from time import perf_counter

from adapters.streaming.peer import Peer
from core.counters import DeliveryCounts
from core.delivery.delivery import Delivery
from core.delivery.protocol import Close
from core.delivery.session import Session

SLICE_SECONDS = 0.005
"""How long the task sends before it lets the rest of the process run."""


class Sending:
    """Sends the delivery's messages, and knows which sockets are full."""

    def __init__(self, delivery: Delivery[Peer], counts: DeliveryCounts) -> None:
        self._delivery = delivery
        self._counts = counts
        self._awake = asyncio.Event()
        # In the order in which their sockets became full.
        self._blocked: dict[Session[Peer], None] = {}

    def wake(self) -> None:
        """Look again: there may be something to send or to fetch."""
        self._awake.set()

    async def run(self, fetch: Callable[[], None]) -> None:
        """Send for ever; call `fetch` after each slice, to begin fetching what was requested."""
        while True:
            await self._awake.wait()
            self._awake.clear()
            more = True
            while more:
                more = self._slice()
                fetch()
                if more:
                    await asyncio.sleep(0)

    def filled(self, session: Session[Peer]) -> None:
        """Send nothing more to a session whose socket is full, until it takes data again."""
        if session not in self._blocked:
            self._block(session)

    def resumed(self, session: Session[Peer]) -> None:
        """Go on with a session whose socket takes data again."""
        self._blocked.pop(session, None)
        self._delivery.resumed(session)
        if session.answered:
            session.peer.make_room()
        self.wake()

    def forget(self, session: Session[Peer]) -> None:
        """Send nothing more to a session."""
        self._blocked.pop(session, None)

    def blocked_since(self, moment: float) -> Sequence[Session[Peer]]:
        """Return the sessions whose sockets have been full since `moment` or longer, by the loop's clock."""
        return list(takewhile(lambda session: session.peer.blocked_at <= moment, self._blocked))

    def _slice(self) -> bool:
        """Send for a short while; True: there is more."""
        until = perf_counter() + SLICE_SECONDS
        more, sent = False, 0
        for outgoing in self._delivery.outgoing():
            if outgoing is not None:
                session, payload = outgoing
                sent += 1
                if isinstance(payload, Close):
                    self._counts.close(payload.code)
                    session.peer.wire.close(payload.code, payload.reason)
                elif not session.peer.write(payload):
                    self.filled(session)
                elif session.peer.room is not None and session.answered:
                    session.peer.make_room()
            if perf_counter() > until:
                more = True
                break
        self._counts.messages += sent
        return more

    def _block(self, session: Session[Peer]) -> None:
        self._counts.slow += 1
        self._delivery.busy(session)
        session.peer.blocked_at = asyncio.get_running_loop().time()
        self._blocked[session] = None

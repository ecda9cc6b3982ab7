"""The driver of delivery: one loop for all sessions of the process, and a task only for what must wait."""

import asyncio
import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter

from adapters.websocket.fetching import Fetching, Sources
from adapters.websocket.peer import Message, Peer, Receive, Wire
from core.delivery.delivery import Delivery
from core.delivery.encoding import Encoding
from core.delivery.protocol import BAD_MESSAGE, RESTART, TOO_SLOW, Auth, BadMessage, Close, Error
from core.delivery.ring import RING_EVENTS
from core.delivery.session import Session
from core.delivery.subscribing import Subscribing
from core.events import Event

logger = logging.getLogger("tocsin.delivery")

STALL_SECONDS = 30.0
"""How long a client may take nothing of what it is sent."""
SLICE_SECONDS = 0.005
"""How long the delivery sends before it lets the rest of the process run."""
POSITION_SECONDS = 5.0
"""How often the sessions are looked through for those that have heard nothing for long."""
DRAIN_SECONDS = 5.0
DRAIN_BATCHES = 20
RETRY_AFTER_MS = 5_000
"""When clients are told to come back, at the latest: spread, or they would come all at once."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who a session belongs to."""

    tenant: str
    subject: str


class StreamDriver:
    """Serves the WebSocket sessions of one process, on one event loop.

    `identity`, `position`: the log, and how far the feed is that will call `publish`.
    """

    def __init__(
        self,
        sources: Sources,
        identity: str,
        position: int,
        *,
        stall_seconds: float = STALL_SECONDS,
        ring_events: int = RING_EVENTS,
    ) -> None:
        self._delivery: Delivery[Peer] = Delivery(identity, position, ring_events=ring_events)
        self._subscribing = Subscribing(self._delivery)
        self._stall_seconds = stall_seconds
        self._awake = asyncio.Event()
        self._fetching = Fetching(self._delivery, sources, self._awake.set)
        # In the order in which their sockets became full.
        self._blocked: dict[Session[Peer], None] = {}
        self._draining = False
        self._empty = asyncio.Event()

    @property
    def sessions(self) -> int:
        """How many sessions are open."""
        return len(self._delivery.sessions)

    def publish(self, events: Sequence[Event]) -> None:
        """Take the next events of the log. Raises LogMismatch unless they directly follow the last."""
        self._delivery.publish(events)
        self._awake.set()

    def reset(self, identity: str, position: int) -> None:
        """Start over: the log was replaced, and the feed goes on after this position of the new one."""
        self._delivery.reset(identity, position)
        self._awake.set()

    async def run(self) -> None:
        """Serve for ever."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._deliver())
                tasks.create_task(self._watch_stalls())
                tasks.create_task(self._tell_positions())
        finally:
            self._fetching.stop()

    async def serve(self, receive: Receive, wire: Wire, caller: Caller, encoding: Encoding) -> None:
        """Serve one accepted socket until it is closed, by whichever side."""
        session = self._delivery.connect(caller.tenant, caller.subject, encoding, Peer(wire))
        wire.drained = partial(self._drained, session)
        self._empty.clear()
        if self._draining:
            self._goodbye(session)
        self._awake.set()
        try:
            await self._listen(session, receive)
        finally:
            wire.drained = None
            self._forget(session)

    async def drain(self, seconds: float = DRAIN_SECONDS) -> None:
        """Send every client away, a part at a time, with a word when to come back; new ones at once."""
        self._draining = True
        sessions = list(self._delivery.sessions)
        size = max(1, -(-len(sessions) // DRAIN_BATCHES))
        for start in range(0, len(sessions), size):
            for session in sessions[start : start + size]:
                self._goodbye(session)
            self._awake.set()
            await asyncio.sleep(seconds / 2 / DRAIN_BATCHES)
        try:
            async with asyncio.timeout(seconds / 2):
                if self._delivery.sessions:
                    await self._empty.wait()
        except TimeoutError:
            for session in list(self._delivery.sessions):
                self._cut(session, RESTART, "restart")

    async def _listen(self, session: Session[Peer], receive: Receive) -> None:
        while True:
            # Always pending, or pings and closes would go unread.
            message = await receive()
            if message["type"] == "websocket.disconnect":
                return
            self._take(session, message)
            self._awake.set()
            while session.full and not session.closed:
                await session.peer.wait_for_room()

    def _take(self, session: Session[Peer], message: Message) -> None:
        text = message.get("text")
        try:
            said = session.encoding.decode(message["bytes"] if text is None else text)
        except BadMessage as error:
            refusal = Error(code="bad_message", detail=str(error))
            self._subscribing.refuse(session, refusal, BAD_MESSAGE)
            return
        if isinstance(said, Auth):
            # Nobody has to say who they are here; a client that does is answered all the same.
            self._delivery.greet(session)
        else:
            self._subscribing.handle(session, said)

    async def _deliver(self) -> None:
        while True:
            await self._awake.wait()
            self._awake.clear()
            while self._slice():  # noqa: ASYNC110 (nothing to wait for: it is the others' turn)
                await asyncio.sleep(0)

    def _slice(self) -> bool:
        """Send for a short while; True: there is more."""
        until = perf_counter() + SLICE_SECONDS
        more = False
        for outgoing in self._delivery.outgoing():
            if outgoing is not None:
                session, payload = outgoing
                if isinstance(payload, Close):
                    session.peer.wire.close(payload.code, payload.reason)
                elif not session.peer.write(payload):
                    self._block(session)
                elif session.peer.room is not None and not session.answers:
                    session.peer.make_room()
            if perf_counter() > until:
                more = True
                break
        self._fetching.start()
        return more

    def _block(self, session: Session[Peer]) -> None:
        self._delivery.busy(session)
        session.peer.blocked_at = asyncio.get_running_loop().time()
        self._blocked[session] = None

    def _drained(self, session: Session[Peer]) -> None:
        self._blocked.pop(session, None)
        self._delivery.drained(session)
        if not session.answers:
            session.peer.make_room()
        self._awake.set()

    def _forget(self, session: Session[Peer]) -> None:
        self._blocked.pop(session, None)
        self._delivery.disconnect(session)
        session.peer.make_room()
        if not self._delivery.sessions:
            self._empty.set()

    def _cut(self, session: Session[Peer], code: int, reason: str) -> None:
        """Close a socket that does not take what waits for it."""
        self._forget(session)
        session.peer.wire.close(code, reason)

    def _goodbye(self, session: Session[Peer]) -> None:
        retry_after = random.randint(0, RETRY_AFTER_MS)
        self._delivery.goodbye(session, RESTART, "restart", retry_after)

    async def _watch_stalls(self) -> None:
        while True:
            await asyncio.sleep(min(1.0, self._stall_seconds / 4))
            too_long = asyncio.get_running_loop().time() - self._stall_seconds
            for session in list(self._blocked):
                if session.peer.blocked_at > too_long:
                    break
                logger.info("a client of %s took nothing for too long", session.subject)
                self._cut(session, TOO_SLOW, "too slow")

    async def _tell_positions(self) -> None:
        while True:
            await asyncio.sleep(POSITION_SECONDS)
            self._delivery.tick()
            self._awake.set()

"""The driver of delivery: one loop for all sessions of the process, and a task only for what must wait."""

import asyncio
import logging
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from time import perf_counter

from adapters.websocket.fetching import Fetching, Sources
from adapters.websocket.peer import Message, Peer, Receive, Wire
from core.delivery.delivery import Delivery
from core.delivery.encoding import Encoding
from core.delivery.limits import Allowance, Limits
from core.delivery.protocol import (
    BAD_MESSAGE,
    RESTART,
    TOO_MANY,
    TOO_SLOW,
    Auth,
    BadMessage,
    Close,
    Error,
    Subscribe,
)
from core.delivery.ring import RING_EVENTS
from core.delivery.session import Session
from core.delivery.subscribing import Subscribing
from core.events import Event

logger = logging.getLogger("tocsin.delivery")

SLICE_SECONDS = 0.005
"""How long the delivery sends before it lets the rest of the process run."""
POSITION_SECONDS = 5.0
"""How often the sessions are looked through for those that have heard nothing for long."""
HEARTBEAT_SECONDS = 15.0
"""How often a client over HTTP hears something: intermediaries end what is silent for 30 s and more."""
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
    """Serves the sessions of one process, over WebSocket and over HTTP, on one event loop.

    `identity`, `position`: the log, and how far the feed is that will call `publish`.
    """

    def __init__(
        self,
        sources: Sources,
        identity: str,
        position: int,
        *,
        limits: Limits | None = None,
        ring_events: int = RING_EVENTS,
    ) -> None:
        self.limits = limits or Limits()
        self._delivery: Delivery[Peer] = Delivery(
            identity, position, limits=self.limits, ring_events=ring_events
        )
        self._subscribing = Subscribing(self._delivery)
        self._stall_seconds = self.limits.stall_seconds
        self._awake = asyncio.Event()
        self._fetching = Fetching(self._delivery, sources, self._awake.set)
        # In the order in which their sockets became full.
        self._blocked: dict[Session[Peer], None] = {}
        self.opened = 0
        """How many sessions were ever opened."""
        self._draining = False
        self._empty = asyncio.Event()

    @property
    def sessions(self) -> int:
        """How many sessions are open."""
        return len(self._delivery.sessions)

    @property
    def full(self) -> bool:
        """Whether no more sessions are taken on."""
        return self.sessions >= self.limits.sessions

    @property
    def draining(self) -> bool:
        """Whether every client is sent away."""
        return self._draining

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
                tasks.create_task(self._beat())
        finally:
            self._fetching.stop()

    async def serve(self, receive: Receive, wire: Wire, caller: Caller, encoding: Encoding) -> None:
        """Serve one accepted socket until it is closed, by whichever side."""
        if self.full:
            detail = f"this process serves at most {self.limits.sessions} sessions"
            wire.write(encoding.message(Error(code="too_many_sessions", detail=detail)))
            wire.close(TOO_MANY, "too_many_sessions")
            return
        with self._opened(wire, caller, encoding) as session:
            await self._listen(session, receive)

    async def follow(
        self, receive: Receive, wire: Wire, caller: Caller, encoding: Encoding, wanted: Subscribe
    ) -> None:
        """Serve one subscription over a response that was started, until either side ends it."""
        with self._opened(wire, caller, encoding, single=True) as session:
            self._subscribing.handle(session, wanted)
            while (await receive())["type"] != "http.disconnect":
                pass

    @contextmanager
    def _opened(
        self, wire: Wire, caller: Caller, encoding: Encoding, *, single: bool = False
    ) -> Iterator[Session[Peer]]:
        rate, burst = self.limits.messages_per_second, self.limits.burst
        peer = Peer(wire, Allowance(rate, burst, asyncio.get_running_loop().time()))
        session = self._delivery.connect(caller.tenant, caller.subject, encoding, peer, single=single)
        wire.drained = partial(self._drained, session)
        self.opened += 1
        self._empty.clear()
        if self._draining:
            self._goodbye(session)
        self._awake.set()
        try:
            yield session
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
        if not session.peer.allowance.take(asyncio.get_running_loop().time()):
            detail = f"a client may send {self.limits.messages_per_second:g} messages a second"
            refusal = Error(code="too_many_messages", detail=detail)
            self._subscribing.refuse(session, refusal, TOO_MANY)
            return
        text = message.get("text")
        try:
            said = session.encoding.decode(
                message["bytes"] if text is None else text, self.limits.message_bytes
            )
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

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            self._delivery.beat()
            self._awake.set()

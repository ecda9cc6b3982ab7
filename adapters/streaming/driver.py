"""The driver of delivery: one loop for all sessions of the process, and a task only for what must wait."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from time import perf_counter

from adapters.streaming.fetching import Fetching, Sources
from adapters.streaming.peer import Message, Peer, Receive, Wire
from core.access.callers import ANYONE, Caller
from core.access.revocations import Revocation
from core.alarm.events import Event
from core.counters import DeliveryCounts
from core.delivery.delivery import Delivery
from core.delivery.encodings.encoding import Encoding
from core.delivery.identifying import AUTH_SECONDS, Identifying, SessionInfo
from core.delivery.limits import Allowance, Limits
from core.delivery.protocol import (
    BAD_MESSAGE,
    RESTART,
    TOO_MANY,
    TOO_SLOW,
    Auth,
    ClientMessage,
    Close,
    Error,
    Subscribe,
)
from core.delivery.ring import RING_EVENTS
from core.delivery.session import Session
from core.delivery.subscribing import Subscribing
from core.errors import BadMessage, Unauthenticated, Unavailable

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
LOOK_SECONDS = 30.0
"""How long it is slept at most until a deadline: the clock may be set meanwhile."""


async def anybody(_: str) -> Caller:
    """Take everybody for the same, whatever they say."""
    return ANYONE


class StreamDriver:
    """Serves the sessions of one process, over WebSocket and over HTTP, on one event loop.

    `identity`, `position`: the log, and how far the feed is that will call `publish`. `authenticate` tells
    who a token or an API key belongs to, and raises Unauthenticated or Unavailable.
    """

    def __init__(  # noqa: PLR0913 (where it stands in the log, whom it asks, and its bounds)
        self,
        sources: Sources,
        identity: str,
        position: int,
        *,
        authenticate: Callable[[str], Awaitable[Caller]] = anybody,
        auth_seconds: float = AUTH_SECONDS,
        limits: Limits | None = None,
        ring_events: int = RING_EVENTS,
    ) -> None:
        self.limits = limits or Limits()
        self._delivery: Delivery[Peer] = Delivery(
            identity, position, limits=self.limits, ring_events=ring_events
        )
        self._subscribing = Subscribing(self._delivery)
        self._stall_seconds = self.limits.stall_seconds
        self._identifying = Identifying(self._delivery, auth_seconds)
        self._authenticate = authenticate
        self._awake = asyncio.Event()
        self._fetching = Fetching(self._delivery, sources, self._awake.set)
        # In the order in which their sockets became full.
        self._blocked: dict[Session[Peer], None] = {}
        self.counts = DeliveryCounts()
        self.opened = 0
        """How many sessions were ever opened."""
        self._draining = False
        self._empty = asyncio.Event()
        # The next deadline may have come nearer.
        self._hurried = asyncio.Event()

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
                tasks.create_task(self._watch_deadlines())
        finally:
            self._fetching.stop()

    def revoke(self, revocation: Revocation) -> None:
        """Close the sessions that a revocation is about."""
        self._identifying.revoke(revocation)
        self._awake.set()

    def sessions_of(self, tenant: str) -> Sequence[SessionInfo]:
        """Return the sessions of a tenant that are open here."""
        return list(self._identifying.sessions(tenant))

    async def serve(self, receive: Receive, wire: Wire, caller: Caller | None, encoding: Encoding) -> None:
        """Serve one accepted socket until either side closes it; `caller` None: its client says who it is."""
        if self.full:
            detail = f"this process serves at most {self.limits.sessions} sessions"
            wire.write(encoding.message(Error(code="too_many_sessions", detail=detail)))
            self.counts.close(TOO_MANY)
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
        self, wire: Wire, caller: Caller | None, encoding: Encoding, *, single: bool = False
    ) -> Iterator[Session[Peer]]:
        rate, burst = self.limits.messages_per_second, self.limits.burst
        peer = Peer(wire, Allowance(rate, burst, asyncio.get_running_loop().time()))
        session = self._delivery.await_identity(encoding, peer, single=single)
        if caller is None:
            self._identifying.wait_for(session, _now())
        else:
            self._identifying.identify(session, caller, _now())
        self._hurried.set()
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
            token = self._take(session, message)
            if token is not None:
                await self._identify(session, token)
            self._awake.set()
            while session.full and not session.closed:
                await session.peer.wait_for_room()

    async def _identify(self, session: Session[Peer], token: str) -> None:
        try:
            caller = await self._authenticate(token)
        except Unauthenticated as error:
            self._identifying.refuse(session, error.detail)
        except Unavailable:
            self._goodbye(session)
        else:
            # At once: what was revoked by now would not be noticed any more.
            self._identifying.identify(session, caller, _now())
            self._hurried.set()

    def _take(self, session: Session[Peer], message: Message) -> str | None:
        """Carry out a message, or return the token in it."""
        if not session.peer.allowance.take(asyncio.get_running_loop().time()):
            detail = f"a client may send {self.limits.messages_per_second:g} messages a second"
            refusal = Error(code="too_many_messages", detail=detail)
            self._subscribing.refuse(session, refusal, TOO_MANY)
            return None
        text = message.get("text")
        try:
            said: ClientMessage | None = session.encoding.decode(
                message["bytes"] if text is None else text, self.limits.message_bytes
            )
        except BadMessage as error:
            refusal = Error(code="bad_message", detail=str(error))
            if session.known:
                self._subscribing.refuse(session, refusal, BAD_MESSAGE)
                return None
            said = None
        if isinstance(said, Auth):
            return said.token
        if said is None or not session.known:
            self._identifying.refuse(session, "the first message must say who you are")
        else:
            self._subscribing.handle(session, said)
        return None

    async def _deliver(self) -> None:
        while True:
            await self._awake.wait()
            self._awake.clear()
            while self._slice():  # noqa: ASYNC110 (nothing to wait for: it is the others' turn)
                await asyncio.sleep(0)

    def _slice(self) -> bool:
        """Send for a short while; True: there is more."""
        until = perf_counter() + SLICE_SECONDS
        more, sent = False, 0
        for outgoing in self._delivery.outgoing():
            if outgoing is not None:
                session, payload = outgoing
                sent += 1
                if isinstance(payload, Close):
                    self.counts.close(payload.code)
                    session.peer.wire.close(payload.code, payload.reason)
                elif not session.peer.write(payload):
                    self._block(session)
                elif session.peer.room is not None and not session.answers:
                    session.peer.make_room()
            if perf_counter() > until:
                more = True
                break
        self.counts.messages += sent
        self._fetching.start()
        return more

    def _block(self, session: Session[Peer]) -> None:
        self.counts.slow += 1
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
        self._identifying.forget(session)
        self._delivery.disconnect(session)
        session.peer.make_room()
        if not self._delivery.sessions:
            self._empty.set()

    def _cut(self, session: Session[Peer], code: int, reason: str) -> None:
        """Close a socket that does not take what waits for it."""
        self._forget(session)
        self.counts.close(code)
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

    async def _watch_deadlines(self) -> None:
        """Close sessions when their time is over: one timer for all of them."""
        while True:
            self._hurried.clear()
            now = _now()
            self._identifying.end_overdue(now)
            self._awake.set()
            following = self._identifying.next_deadline
            left = LOOK_SECONDS if following is None else (following - now).total_seconds()
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left, LOOK_SECONDS)):
                    await self._hurried.wait()


def _now() -> datetime:
    return datetime.now(UTC)

"""The driver of delivery: connects the sockets and the feed to it, on one event loop."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial

from adapters.streaming.draining import DRAIN_SECONDS, Draining
from adapters.streaming.fetching import Fetching, Sources
from adapters.streaming.peer import Peer, Receive, Wire
from adapters.streaming.receiving import Authenticate, Receiving
from adapters.streaming.sending import Sending
from adapters.streaming.timers import Timers
from core.access.callers import ANYONE, Caller
from core.access.revocations import Revocation
from core.alarm.events import Event
from core.counters import DeliveryCounts
from core.delivery.delivery import Delivery
from core.delivery.encodings.encoding import Encoding, WebSocketEncoding
from core.delivery.limits import Limits
from core.delivery.protocol import TOO_MANY, ErrorMessage, Subscribe
from core.delivery.ring import RING_EVENTS
from core.delivery.session import Session, SessionInfo
from core.delivery.session_auth import AUTH_SECONDS
from core.rates import TokenBucket


async def anybody(_: str) -> Caller:
    """Accept any credential, as the same caller."""
    return ANYONE


class StreamDriver:
    """Serves the sessions of one process, over WebSocket and over HTTP, on one event loop.

    `identity`, `position`: those of the log and of the feed, which calls `publish` from there on.
    """

    def __init__(  # noqa: PLR0913 (its place in the log, its sources, and its bounds)
        self,
        sources: Sources,
        identity: str,
        position: int,
        *,
        authenticate: Authenticate = anybody,
        auth_seconds: float = AUTH_SECONDS,
        limits: Limits | None = None,
        ring_events: int = RING_EVENTS,
    ) -> None:
        self.limits = limits or Limits()
        self.counts = DeliveryCounts()
        self.opened = 0
        """How many sessions were opened since the process started."""
        self._delivery: Delivery[Peer] = Delivery(
            identity, position, limits=self.limits, auth_seconds=auth_seconds, ring_events=ring_events
        )
        self._sending = Sending(self._delivery, self.counts)
        self._fetching = Fetching(self._delivery, sources, self._sending.wake)
        self._draining = Draining(self._delivery, self._sending.wake)
        self._timers = Timers(self._delivery, self._sending, self.limits.stall_seconds)
        self._receiving = Receiving(self._delivery, self._sending, self._timers, authenticate, self.limits)

    @property
    def sessions(self) -> int:
        """How many sessions are open."""
        return len(self._delivery.sessions)

    @property
    def draining(self) -> bool:
        """Whether every client is being sent away."""
        return self._draining.begun

    def refusal(self, caller: Caller | None) -> str | None:
        """Return why there is no place for a further session of the caller; None: there is one."""
        if self.sessions >= self.limits.sessions:
            return f"this process serves at most {self.limits.sessions} sessions"
        return None if caller is None else self._delivery.refusal(caller)

    def publish(self, events: Sequence[Event]) -> None:
        """Take the next events of the log. Raises LogMismatch unless they directly follow the last."""
        self._delivery.publish(events)
        self._sending.wake()

    def reset(self, identity: str, position: int) -> None:
        """Start over: the log was replaced, and the feed goes on after this position of the new log."""
        self._delivery.reset(identity, position)
        self._sending.wake()

    async def run(self) -> None:
        """Serve for ever."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._sending.run(self._fetching.start))
                tasks.create_task(self._timers.run(self._cut))
        finally:
            self._fetching.stop()

    def revoke(self, revocation: Revocation) -> None:
        """Close the sessions that a revocation concerns."""
        self._delivery.revoke(revocation)
        self._sending.wake()

    def sessions_of(self, tenant: str) -> Sequence[SessionInfo]:
        """Return the tenant's sessions in this process."""
        return self._delivery.sessions_of(tenant)

    async def serve(
        self, receive: Receive, wire: Wire, caller: Caller | None, encoding: WebSocketEncoding
    ) -> None:
        """Serve one accepted socket until either side closes it; `caller` None: the client says who it is."""
        if (refusal := self.refusal(caller)) is not None:
            wire.write(encoding.message(ErrorMessage(code="too_many_sessions", detail=refusal)))
            self.counts.close(TOO_MANY)
            wire.close(TOO_MANY, "too_many_sessions")
            return
        with self._opened(wire, caller, encoding) as session:
            await self._receiving.run(session, encoding, receive)

    async def follow(
        self, receive: Receive, wire: Wire, caller: Caller, encoding: Encoding, wanted: Subscribe
    ) -> None:
        """Serve one subscription over a started response, until either side ends it."""
        with self._opened(wire, caller, encoding, single=True) as session:
            self._delivery.handle(session, wanted)
            while (await receive())["type"] != "http.disconnect":
                pass

    async def drain(self, seconds: float = DRAIN_SECONDS) -> None:
        """Send every client away, a few at a time, and new ones at once; tell each when to come back."""
        await self._draining.run(seconds, self._cut)

    @contextmanager
    def _opened(
        self, wire: Wire, caller: Caller | None, encoding: Encoding, *, single: bool = False
    ) -> Iterator[Session[Peer]]:
        allowance = TokenBucket(
            self.limits.messages_per_second, self.limits.burst, asyncio.get_running_loop().time()
        )
        peer = Peer(wire, allowance)
        session = self._delivery.connect(encoding, peer, datetime.now(UTC), caller, single=single)
        wire.filled = partial(self._sending.filled, session)
        wire.resumed = partial(self._sending.resumed, session)
        self.opened += 1
        self._draining.opened(session)
        self._timers.hurry()
        self._sending.wake()
        try:
            yield session
        finally:
            wire.filled = wire.resumed = None
            self._forget(session)

    def _forget(self, session: Session[Peer]) -> None:
        self._sending.forget(session)
        self._delivery.disconnect(session)
        session.peer.make_room()
        self._draining.closed()

    def _cut(self, session: Session[Peer], code: int, reason: str) -> None:
        """Close a socket that does not take its data."""
        self._forget(session)
        self.counts.close(code)
        session.peer.wire.close(code, reason)

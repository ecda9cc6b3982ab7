"""Delivery: the state machine between the feed and the sockets of one process. It does no I/O."""

from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence
from typing import Generic

from core.alarm.events import Event
from core.delivery.catchup import CatchUp
from core.delivery.cohort import Cohort
from core.delivery.cohorts import Cohorts
from core.delivery.encodings.encoding import Encoding
from core.delivery.frame import Frame
from core.delivery.limits import Limits
from core.delivery.protocol import RESTART, Close, ErrorMessage, Goodbye, Hello, PositionMessage, ResetMessage
from core.delivery.requests import NeedPage, Request
from core.delivery.ring import RING_BYTES, RING_EVENTS, Ring
from core.delivery.session import Peer, Session, Stage, Subscription

POSITION_LAG = 1_000
"""How many positions a client can be told late that there was nothing for it."""
LIVE_SHARE = 8
"""How many live frames go out for each one to a session that is behind, while both are waiting."""

Outgoing = tuple[Session[Peer], bytes | Close] | None


class Delivery(Generic[Peer]):
    """Serves every session of a process from one ring.

    After any call, send what `outgoing` yields and fetch what `requests` returns. All methods are called
    from one thread.
    """

    def __init__(
        self,
        identity: str,
        position: int,
        *,
        limits: Limits | None = None,
        ring_events: int = RING_EVENTS,
        ring_bytes: int = RING_BYTES,
    ) -> None:
        self.identity = identity
        self.limits = limits or Limits()
        self.ring = Ring(position, ring_events, ring_bytes)
        self.sessions: dict[Session[Peer], None] = {}
        self.cohorts = Cohorts[Peer]()
        self.requested: list[Request] = []
        self._ring_size = (ring_events, ring_bytes)
        self._catch_up = CatchUp[Peer](self.ring, self.requested)
        # Cohorts with a new match; their members when it is their turn; those that have more waiting.
        self._dirty: OrderedDict[Cohort[Peer], None] = OrderedDict()
        self._live: deque[Subscription[Peer]] = deque()
        self._behind: deque[Subscription[Peer]] = deque()
        self._talking: deque[Session[Peer]] = deque()
        self._served = 0

    def publish(self, events: Sequence[Event]) -> None:
        """Take the next events of the log. Raises LogMismatch unless they directly follow the last."""
        for event in events:
            self.ring.append(event)
            for cohort, left in self.cohorts.concerned(event):
                cohort.add(event.position, left=left)
                self._dirty[cohort] = None

    def reset(self, identity: str, position: int) -> None:
        """Start over: the log was replaced, and the feed goes on after this position of the new one."""
        self.identity = identity
        self.ring = Ring(position, *self._ring_size)
        self._catch_up.restart(self.ring)
        for session in self.sessions:
            if session.closed or not session.known:
                continue
            self._answer(session, Hello(log=identity, position=position))
            for subscription in list(session.subscriptions.values()):
                self.end_with(subscription, ResetMessage(id=subscription.id, reason="log_changed"))

    def connect(
        self, tenant: str, subject: str, encoding: Encoding, peer: Peer, *, single: bool = False
    ) -> Session[Peer]:
        """Begin a session; a `single` one is for one subscription and ends with it."""
        session = Session(tenant, subject, encoding, peer, single=single)
        self.sessions[session] = None
        self.greet(session)
        return session

    def await_identity(self, encoding: Encoding, peer: Peer, *, single: bool = False) -> Session[Peer]:
        """Begin a session of nobody yet (see core.delivery.identifying)."""
        session = Session("", "", encoding, peer, single=single)
        session.known = False
        self.sessions[session] = None
        return session

    def greet(self, session: Session[Peer]) -> None:
        """Tell the client which log this is and how far it is read."""
        self._answer(session, Hello(log=self.identity, position=self.ring.last))

    def disconnect(self, session: Session[Peer]) -> None:
        """Forget a session: its socket is gone."""
        self.sessions.pop(session, None)
        session.closed = True
        session.answers.clear()
        for subscription in list(session.subscriptions.values()):
            self.end(subscription)

    def close(self, session: Session[Peer], code: int, reason: str) -> None:
        """Send what was answered so far, then close the session's socket."""
        if session.closed:
            return
        session.closed = True
        for subscription in list(session.subscriptions.values()):
            self.end(subscription)
        session.answers.append(Close(code, reason))
        self.talk(session)

    def goodbye(self, session: Session[Peer], code: int, reason: str, retry_after_ms: int) -> None:
        """Close the session after telling the client when to come back."""
        if not session.closed:
            session.answer(Goodbye(reason=reason, retry_after_ms=retry_after_ms))
            self.close(session, code, reason)

    def busy(self, session: Session[Peer]) -> None:
        """Send nothing to this session until it has drained: its socket is full."""
        session.busy = True

    def drained(self, session: Session[Peer]) -> None:
        """Go on with a session whose socket takes something again."""
        session.busy = False
        self.talk(session)
        self._behind.extend(session.subscriptions.values())

    def join(self, subscription: Subscription[Peer], position: int) -> None:
        """Send everything that matches after the position, as far as it is not sent yet."""
        subscription.cursor = subscription.told = position
        subscription.stage = Stage.LIVE
        subscription.cohort.members[subscription] = None
        self._behind.append(subscription)

    def end(self, subscription: Subscription[Peer]) -> None:
        """Send nothing more for the subscription."""
        subscription.stage = Stage.OVER
        subscription.session.subscriptions.pop(subscription.id, None)
        self.cohorts.leave(subscription)

    def end_with(self, subscription: Subscription[Peer], word: ResetMessage | ErrorMessage) -> None:
        """End the subscription, and tell the client why."""
        self.end(subscription)
        self.dismiss(subscription.session, word)

    def dismiss(self, session: Session[Peer], word: ResetMessage | ErrorMessage) -> None:
        """Tell the client that there is no such subscription, or no more."""
        self._answer(session, word)
        if session.single:
            self.close(session, RESTART, "subscribe again")

    def talk(self, session: Session[Peer]) -> None:
        """Let the session's answers go out."""
        if session.answers and not session.busy:
            self._talking.append(session)

    def page(self, request: NeedPage, events: Sequence[Event]) -> None:
        """Take what there is of a page of the log that was requested. Raises LogMismatch at a gap."""
        self._behind.extend(self._catch_up.page(request, events))

    def needs(self, request: NeedPage) -> bool:
        """Tell whether somebody still waits for the page."""
        return self._catch_up.needs(request)

    def waiting_for(self, request: Request) -> Sequence[Subscription[Peer]]:
        """Return the subscriptions that cannot go on without it."""
        if isinstance(request, NeedPage):
            return self._catch_up.waiting_for(request)
        return [request.subscription]

    def tick(self) -> None:
        """Tell clients how far they are that have heard nothing for long. Call it every few seconds."""
        last = self.ring.last
        for session in self.sessions:
            for subscription in session.subscriptions.values():
                if (
                    last - subscription.told >= POSITION_LAG
                    and subscription.stage is Stage.LIVE
                    and not session.busy
                    and not subscription.cohort.behind(subscription.cursor, self.ring)
                    and subscription.cohort.frame(subscription.cursor, self.ring) is None
                ):
                    self._tell(subscription, last)

    def beat(self) -> None:
        """Let every wire that has no pings of its own be used now and then."""
        for session in self.sessions:
            heartbeat = session.encoding.heartbeat
            if heartbeat and not (session.busy or session.closed or session.answers):
                session.answers.append(heartbeat)
                self.talk(session)

    def requests(self) -> list[Request]:
        """Return what is needed from outside since the last call."""
        taken = self.requested[:]
        self.requested.clear()
        return taken

    def outgoing(self) -> Iterator[Outgoing[Peer]]:
        """Yield what is to be sent, until nothing is: a session, and its next message or its close.

        If a socket cannot take it at once, call `busy` before going on, and `drained` when it has taken
        it. None stands for work that gave nothing to send. Stopping between two loses nothing.
        """
        while True:
            if self._talking:
                session = self._talking.popleft()
                if session.answers and not session.busy:
                    answer = session.answers.popleft()
                    self.talk(session)
                    yield session, answer
                continue
            if self._dirty and not self._live:
                # The oldest first, or those that many events are for would always be before it.
                self._live.extend(self._dirty.popitem(last=False)[0].members)
                continue
            self._served += 1
            if self._live and (self._served % LIVE_SHARE or not self._behind):
                subscription = self._live.popleft()
            elif self._behind:
                subscription = self._behind.popleft()
            else:
                return
            if subscription.session.busy or subscription.stage is not Stage.LIVE:
                continue
            frame = subscription.cohort.newest
            # Nearly always it is the frame that the cohort's member before this one was sent.
            if frame is None or subscription.conflate or not frame.low <= subscription.cursor < frame.first:
                frame = self._waiting(subscription)
            if frame is not None:
                yield self._advance(subscription, frame)

    def _waiting(self, subscription: Subscription[Peer]) -> Frame | None:
        cohort = subscription.cohort
        if cohort.behind(subscription.cursor, self.ring):
            return self._catch_up.frame(subscription)
        if subscription.conflate:
            return cohort.conflated(subscription.cursor, self.ring)
        return cohort.frame(subscription.cursor, self.ring)

    def _advance(self, subscription: Subscription[Peer], frame: Frame) -> Outgoing[Peer]:
        """Move the cursor to the frame's end, and return what is to be sent of it."""
        subscription.cursor = frame.end
        if frame.end < self.ring.last:
            self._behind.append(subscription)
        if frame.body:
            subscription.told = frame.end
            return subscription.session, frame.payload(subscription.id)
        if subscription.cursor - subscription.told >= POSITION_LAG:
            self._tell(subscription, subscription.cursor)
        return None

    def _tell(self, subscription: Subscription[Peer], position: int) -> None:
        subscription.cursor = subscription.told = position
        self._answer(subscription.session, PositionMessage(id=subscription.id, position=position))

    def _answer(
        self, session: Session[Peer], message: Hello | ResetMessage | PositionMessage | ErrorMessage
    ) -> None:
        session.answer(message)
        self.talk(session)

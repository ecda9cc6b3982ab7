"""Delivery: the state machine between the feed and the sockets of one process. It does no I/O."""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Generic

from core.access.callers import Caller
from core.access.revocations import Revocation
from core.alarm.alarm import Alarm
from core.alarm.events import Event
from core.delivery.catchup import CatchUp
from core.delivery.cohorts import Cohorts
from core.delivery.encodings.encoding import Encoding
from core.delivery.fanout import Fanout, ToSend
from core.delivery.limits import Limits
from core.delivery.protocol import ErrorMessage, Subscribe, Unsubscribe
from core.delivery.requests import NeedPage, NeedTail, Request, Requests
from core.delivery.ring import RING_BYTES, RING_EVENTS, Ring
from core.delivery.session import PeerT, Session, SessionInfo, Subscription
from core.delivery.session_auth import AUTH_SECONDS, SessionAuth
from core.delivery.sessions import Sessions
from core.delivery.subscriptions import Subscriptions


class Delivery(Generic[PeerT]):
    """Serves every session of a process from one ring: the whole interface for the driver.

    After any call, send what `outgoing` yields and fetch what `requests` returns. Call `end_overdue` at
    `next_deadline`, which any call may bring forward. Call all methods from one thread.
    """

    def __init__(  # noqa: PLR0913 (its place in the log, and its bounds)
        self,
        identity: str,
        position: int,
        *,
        limits: Limits | None = None,
        auth_seconds: float = AUTH_SECONDS,
        ring_events: int = RING_EVENTS,
        ring_bytes: int = RING_BYTES,
    ) -> None:
        self._ring = Ring(identity, position, ring_events, ring_bytes)
        self._requests = Requests()
        cohorts = Cohorts[PeerT]()
        self._catch_up = CatchUp[PeerT](self._ring, self._requests)
        self._fanout = Fanout[PeerT](self._ring, cohorts, self._catch_up)
        self._sessions = Sessions[PeerT](self._ring, cohorts, self._fanout)
        limits = limits or Limits()
        self._auth = SessionAuth[PeerT](self._sessions, auth_seconds, limits)
        self._subscriptions = Subscriptions[PeerT](
            self._ring, cohorts, self._fanout, self._sessions, self._requests, limits=limits
        )

    # The log.

    @property
    def position(self) -> int:
        """The position of the event published last."""
        return self._ring.last

    def publish(self, events: Sequence[Event]) -> None:
        """Take the next events of the log. Raises LogMismatch unless they directly follow the last."""
        self._fanout.publish(events)

    def reset(self, identity: str, position: int) -> None:
        """Start over: the log was replaced, and the feed goes on after this position of the new log."""
        self._ring.restart(identity, position)
        self._requests.clear()
        self._catch_up.restart()
        self._sessions.restart()

    # Sessions.

    @property
    def sessions(self) -> Collection[Session[PeerT]]:
        """Every open session, in the order of opening."""
        return self._sessions.open

    def connect(
        self, encoding: Encoding, peer: PeerT, now: datetime, caller: Caller | None, *, single: bool = False
    ) -> Session[PeerT]:
        """Begin a session; a `single` session is for one subscription and ends with it.

        `caller` None: the client must prove in time who it is, and is told nothing before.
        """
        session = self._sessions.begin(encoding, peer, single=single)
        if caller is None:
            self._auth.wait_for(session, now)
        else:
            self._auth.identify(session, caller, now)
        return session

    def identify(self, session: Session[PeerT], caller: Caller, now: datetime) -> None:
        """Begin the session as the caller's, or prolong it, and say hello.

        Closes the session if the caller may not follow alarms, is not the session's present caller, or has
        too many.
        """
        self._auth.identify(session, caller, now)

    def refusal(self, caller: Caller) -> str | None:
        """Return why the caller gets no further session; None: it does."""
        return self._auth.refusal(caller)

    def deny(self, session: Session[PeerT], reason: str) -> None:
        """Close a session whose client did not prove who it is."""
        self._auth.deny(session, reason)

    def revoke(self, revocation: Revocation) -> None:
        """Close the sessions that a revocation concerns."""
        self._auth.revoke(revocation)

    def sessions_of(self, tenant: str) -> Sequence[SessionInfo]:
        """Return the tenant's sessions."""
        return list(self._auth.infos(tenant))

    def goodbye(self, session: Session[PeerT], code: int, reason: str, retry_after_ms: int) -> None:
        """Close the session after telling the client when to come back."""
        self._sessions.goodbye(session, code, reason, retry_after_ms)

    def disconnect(self, session: Session[PeerT]) -> None:
        """Forget a session: its socket is gone."""
        self._auth.forget(session)
        self._sessions.forget(session)

    # Messages from clients.

    def handle(self, session: Session[PeerT], message: Subscribe | Unsubscribe) -> None:
        """Carry out a client's message."""
        self._subscriptions.handle(session, message)

    def refuse(self, session: Session[PeerT], error: ErrorMessage, close: int) -> None:
        """Tell the client what was wrong, and close its socket with this code."""
        self._subscriptions.refuse(session, error, close)

    # Messages to clients.

    def outgoing(self) -> Iterator[ToSend[PeerT]]:
        """Yield a session and its next message or its close, until nothing is left to send.

        If a socket is full, call `busy` before going on, and `resumed` once it takes data again. None stands
        for work that gave nothing to send. Stopping between two loses nothing.
        """
        return self._fanout.outgoing()

    def busy(self, session: Session[PeerT]) -> None:
        """Send nothing to this session until `resumed`: its socket is full."""
        self._fanout.busy(session)

    def resumed(self, session: Session[PeerT]) -> None:
        """Go on with a session whose socket takes data again."""
        self._fanout.resumed(session)

    # Data from outside.

    def requests(self) -> list[Request]:
        """Return the requests made since the last call."""
        return self._requests.take()

    def needs(self, request: NeedPage) -> bool:
        """Tell whether a subscription still waits for the page."""
        return self._catch_up.needs(request)

    def page(self, request: NeedPage, events: Sequence[Event]) -> None:
        """Take a requested page of the log, as far as it exists. Raises LogMismatch at a gap."""
        self._fanout.go_on(self._catch_up.page(request, events))

    def tail(self, request: NeedTail, position: int) -> None:
        """Take the position of the log's tail; a position beyond it is a position of no event."""
        self._subscriptions.tail(request, position)

    def snapshot_began(self, subscription: Subscription[PeerT], position: int) -> None:
        """Take the checkpoint read before the scan, also when the scan starts over."""
        self._subscriptions.snapshot_began(subscription, position)

    def snapshot_rows(self, subscription: Subscription[PeerT], alarms: Sequence[Alarm]) -> None:
        """Send the rows of a page of the alarm list that match and are not normal."""
        self._subscriptions.snapshot_rows(subscription, alarms)

    def snapshot_ended(self, subscription: Subscription[PeerT]) -> None:
        """Say that the list is complete, and go on with the events after it."""
        self._subscriptions.snapshot_ended(subscription)

    def give_up(self, request: Request, detail: str) -> None:
        """End the subscriptions whose data could not be fetched, and tell their clients why."""
        if isinstance(request, NeedPage):
            self._subscriptions.give_up(self._catch_up.waiting_for(request), detail)
        else:
            self._subscriptions.give_up([request.subscription], detail)

    # Timers.

    @property
    def next_deadline(self) -> datetime | None:
        """When `end_overdue` has something to do; None: no session has a deadline."""
        return self._auth.next_deadline

    def end_overdue(self, now: datetime) -> None:
        """Close every session whose time is over."""
        self._auth.end_overdue(now)

    def tick(self) -> None:
        """Tell clients that have heard nothing for long their position. Call it every few seconds."""
        self._sessions.tick()

    def beat(self) -> None:
        """Send a heartbeat over every idle wire that has no pings of its own."""
        self._sessions.beat()

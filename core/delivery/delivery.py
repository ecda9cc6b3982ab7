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
from core.delivery.fanout import Fanout, Outgoing
from core.delivery.limits import Limits
from core.delivery.protocol import ErrorMessage, Subscribe, Unsubscribe
from core.delivery.requests import NeedPage, NeedTail, Request, Requests
from core.delivery.ring import RING_BYTES, RING_EVENTS, Ring
from core.delivery.session import Peer, Session, SessionInfo, Subscription
from core.delivery.session_auth import AUTH_SECONDS, SessionAuth
from core.delivery.sessions import Sessions
from core.delivery.subscriptions import Subscriptions


class Delivery(Generic[Peer]):
    """Serves every session of a process from one ring: all that a driver of sockets has to know.

    After any call, send what `outgoing` yields and fetch what `requests` returns; call `end_overdue` at
    `next_deadline`, which any call may bring forward. All methods are called from one thread.
    """

    def __init__(  # noqa: PLR0913 (where it stands in the log, and its bounds)
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
        cohorts = Cohorts[Peer]()
        self._catch_up = CatchUp[Peer](self._ring, self._requests)
        self._fanout = Fanout[Peer](self._ring, cohorts, self._catch_up)
        self._sessions = Sessions[Peer](self._ring, cohorts, self._fanout)
        self._auth = SessionAuth[Peer](self._sessions, auth_seconds)
        self._subscriptions = Subscriptions[Peer](
            self._ring, cohorts, self._fanout, self._sessions, self._requests, limits=limits or Limits()
        )

    # The log.

    @property
    def position(self) -> int:
        """The position of the event that was published last."""
        return self._ring.last

    def publish(self, events: Sequence[Event]) -> None:
        """Take the next events of the log. Raises LogMismatch unless they directly follow the last."""
        self._fanout.publish(events)

    def reset(self, identity: str, position: int) -> None:
        """Start over: the log was replaced, and the feed goes on after this position of the new one."""
        self._ring.restart(identity, position)
        self._requests.clear()
        self._catch_up.restart()
        self._sessions.restart()

    # Sessions.

    @property
    def sessions(self) -> Collection[Session[Peer]]:
        """Every open session, in the order in which they were opened."""
        return self._sessions.open

    def connect(
        self, encoding: Encoding, peer: Peer, now: datetime, caller: Caller | None, *, single: bool = False
    ) -> Session[Peer]:
        """Begin a session; a `single` one is for one subscription and ends with it.

        `caller` None: its client has to say in time who it is, and is told nothing before.
        """
        session = self._sessions.begin(encoding, peer, single=single)
        if caller is None:
            self._auth.wait_for(session, now)
        else:
            self._auth.identify(session, caller, now)
        return session

    def identify(self, session: Session[Peer], caller: Caller, now: datetime) -> None:
        """Take who the session belongs to: it begins, or goes on until a later time, with a hello.

        It is closed if the caller may not follow alarms, or is another one than before.
        """
        self._auth.identify(session, caller, now)

    def deny(self, session: Session[Peer], reason: str) -> None:
        """Close a session whose client did not prove who it is."""
        self._auth.deny(session, reason)

    def revoke(self, revocation: Revocation) -> None:
        """Close the sessions that a revocation is about."""
        self._auth.revoke(revocation)

    def sessions_of(self, tenant: str) -> Sequence[SessionInfo]:
        """Return what sessions the tenant has."""
        return list(self._auth.infos(tenant))

    def goodbye(self, session: Session[Peer], code: int, reason: str, retry_after_ms: int) -> None:
        """Close the session after telling the client when to come back."""
        self._sessions.goodbye(session, code, reason, retry_after_ms)

    def disconnect(self, session: Session[Peer]) -> None:
        """Forget a session: its socket is gone."""
        self._auth.forget(session)
        self._sessions.forget(session)

    # What a session's client says.

    def handle(self, session: Session[Peer], message: Subscribe | Unsubscribe) -> None:
        """Carry out a message of a session's client."""
        self._subscriptions.handle(session, message)

    def refuse(self, session: Session[Peer], error: ErrorMessage, close: int) -> None:
        """Tell the client what was wrong, and close its socket with this code."""
        self._subscriptions.refuse(session, error, close)

    # What goes out.

    def outgoing(self) -> Iterator[Outgoing[Peer]]:
        """Yield what is to be sent, until nothing is: a session, and its next message or its close.

        If a socket cannot take it at once, call `busy` before going on, and `drained` when it has taken
        it. None stands for work that gave nothing to send. Stopping between two loses nothing.
        """
        return self._fanout.outgoing()

    def busy(self, session: Session[Peer]) -> None:
        """Send nothing to this session until it has drained: its socket is full."""
        self._fanout.busy(session)

    def drained(self, session: Session[Peer]) -> None:
        """Go on with a session whose socket takes something again."""
        self._fanout.drained(session)

    # What is fetched from outside.

    def requests(self) -> list[Request]:
        """Return what is needed from outside since the last call."""
        return self._requests.take()

    def needs(self, request: NeedPage) -> bool:
        """Tell whether somebody still waits for the page."""
        return self._catch_up.needs(request)

    def page(self, request: NeedPage, events: Sequence[Event]) -> None:
        """Take what there is of a page of the log that was requested. Raises LogMismatch at a gap."""
        self._fanout.go_on(self._catch_up.page(request, events))

    def tail(self, request: NeedTail, position: int, *, final: bool) -> bool:
        """Take the position of the log's tail; True: the request is settled.

        `final`: it will not be asked again, so a position beyond it is a position of no event.
        """
        return self._subscriptions.tail(request, position, final=final)

    def snapshot_began(self, subscription: Subscription[Peer], position: int) -> None:
        """Take the checkpoint that was read before the scan, also when it is started over."""
        self._subscriptions.snapshot_began(subscription, position)

    def snapshot_rows(self, subscription: Subscription[Peer], alarms: Sequence[Alarm]) -> None:
        """Send those of a page of the alarm list that match and are not normal."""
        self._subscriptions.snapshot_rows(subscription, alarms)

    def snapshot_ended(self, subscription: Subscription[Peer]) -> None:
        """Say that the list is complete, and go on with what came after it."""
        self._subscriptions.snapshot_ended(subscription)

    def give_up(self, request: Request, detail: str) -> None:
        """End the subscriptions that wait for what could not be fetched, and tell their clients why."""
        if isinstance(request, NeedPage):
            self._subscriptions.give_up(self._catch_up.waiting_for(request), detail)
        else:
            self._subscriptions.give_up([request.subscription], detail)

    # What is done from time to time.

    @property
    def next_deadline(self) -> datetime | None:
        """When `end_overdue` has something to do; None: not as it stands."""
        return self._auth.next_deadline

    def end_overdue(self, now: datetime) -> None:
        """Close every session whose time is over."""
        self._auth.end_overdue(now)

    def tick(self) -> None:
        """Tell clients how far they are that have heard nothing for long. Call it every few seconds."""
        self._sessions.tick()

    def beat(self) -> None:
        """Let every wire that has no pings of its own be used now and then."""
        self._sessions.beat()

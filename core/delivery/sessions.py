"""The open sessions: begins and closes them, and ends their subscriptions."""

from collections.abc import Collection
from typing import Generic

from core.delivery.cohorts import Cohorts
from core.delivery.encodings.encoding import Encoding
from core.delivery.fanout import Fanout
from core.delivery.protocol import RESTART, Close, ErrorMessage, Goodbye, Hello, ResetMessage
from core.delivery.ring import Ring
from core.delivery.session import PeerT, Session, Subscription


class Sessions(Generic[PeerT]):
    """Every open session of a process."""

    def __init__(self, ring: Ring, cohorts: Cohorts[PeerT], fanout: Fanout[PeerT]) -> None:
        self._ring = ring
        self._cohorts = cohorts
        self._fanout = fanout
        self._open: dict[Session[PeerT], None] = {}

    @property
    def open(self) -> Collection[Session[PeerT]]:
        """Every open session, in the order of opening."""
        return self._open.keys()

    def begin(self, encoding: Encoding, peer: PeerT, *, single: bool) -> Session[PeerT]:
        """Begin a session without a caller; a `single` session is for one subscription and ends with it."""
        session = Session(encoding, peer, single=single)
        self._open[session] = None
        return session

    def greet(self, session: Session[PeerT]) -> None:
        """Tell the client the log's identity and how far this process has read it."""
        self._fanout.answer(session, Hello(log=self._ring.log, position=self._ring.last))

    def restart(self) -> None:
        """Tell every client that the log was replaced, and end its subscriptions."""
        for session in self._open:
            if session.known and not session.closed:
                self.greet(session)
                for subscription in list(session.subscriptions.values()):
                    self.end_with(subscription, ResetMessage(id=subscription.id, reason="log_changed"))

    def forget(self, session: Session[PeerT]) -> None:
        """Forget a session: its socket is gone."""
        self._open.pop(session, None)
        session.end()
        self._end_subscriptions(session)

    def close(self, session: Session[PeerT], code: int, reason: str) -> None:
        """Send the waiting answers, then close the session's socket."""
        if session.closed:
            return
        session.closed = True
        self._end_subscriptions(session)
        self._fanout.send(session, Close(code, reason))

    def refuse(self, session: Session[PeerT], error: ErrorMessage, code: int) -> None:
        """Tell the client what was wrong, and close its socket with this code."""
        if not session.closed:
            self._fanout.answer(session, error)
            self.close(session, code, error.code)

    def goodbye(self, session: Session[PeerT], code: int, reason: str, retry_after_ms: int) -> None:
        """Close the session after telling the client when to come back."""
        if not session.closed:
            self._fanout.answer(session, Goodbye(reason=reason, retry_after_ms=retry_after_ms))
            self.close(session, code, reason)

    def end(self, subscription: Subscription[PeerT]) -> None:
        """Send nothing more for the subscription."""
        subscription.ended()
        subscription.session.subscriptions.pop(subscription.id, None)
        self._cohorts.leave(subscription)

    def end_with(self, subscription: Subscription[PeerT], message: ResetMessage | ErrorMessage) -> None:
        """End the subscription, and tell the client why."""
        self.end(subscription)
        self.dismiss(subscription.session, message)

    def dismiss(self, session: Session[PeerT], message: ResetMessage | ErrorMessage) -> None:
        """Tell the client that the subscription does not exist, or exists no more."""
        self._fanout.answer(session, message)
        if session.single:
            self.close(session, RESTART, "subscribe again")

    def tick(self) -> None:
        """Tell clients that have heard nothing for long their position."""
        for session in self._open:
            for subscription in session.subscriptions.values():
                self._fanout.tell_if_quiet(subscription)

    def beat(self) -> None:
        """Send a heartbeat over every idle wire that has no pings of its own."""
        for session in self._open:
            heartbeat = session.encoding.heartbeat
            if heartbeat and session.answered and not (session.busy or session.closed):
                self._fanout.send(session, heartbeat)

    def _end_subscriptions(self, session: Session[PeerT]) -> None:
        for subscription in list(session.subscriptions.values()):
            self.end(subscription)

"""Authentication of sessions: clients prove who they are, renew that before it expires, or are closed."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from heapq import heapify, heappop, heappush
from typing import Generic

from core.access.callers import Caller
from core.access.revocations import Revocation
from core.delivery.limits import Limits
from core.delivery.protocol import FORBIDDEN, TOO_MANY, UNAUTHENTICATED, ErrorMessage
from core.delivery.session import PeerT, Session, SessionInfo
from core.delivery.session_counts import SessionCounts
from core.delivery.sessions import Sessions
from core.roles import READERS

AUTH_SECONDS = 10.0
"""How long a client may take to prove who it is."""
REASON_BYTES = 123
"""The longest reason of a close (RFC 6455 §5.5)."""

_STALE = 64
"""How many stale deadlines may be kept, besides one for each valid deadline."""


class SessionAuth(Generic[PeerT]):
    """Keeps each session's caller, and closes sessions whose time is over.

    Call `end_overdue` at `next_deadline`, which any call may bring forward.
    """

    def __init__(self, sessions: Sessions[PeerT], auth_seconds: float, limits: Limits) -> None:
        self._sessions = sessions
        self._counts = SessionCounts(limits)
        self._patience = timedelta(seconds=auth_seconds)
        self._callers: dict[Session[PeerT], tuple[Caller, datetime]] = {}
        self._due: dict[Session[PeerT], datetime] = {}
        # A heap, the earliest first; an entry that differs from `_due` is stale.
        self._deadlines: list[tuple[datetime, int, Session[PeerT]]] = []
        self._count = 0

    @property
    def next_deadline(self) -> datetime | None:
        """When `end_overdue` has something to do; None: no session has a deadline."""
        while self._deadlines:
            deadline, _, session = self._deadlines[0]
            if self._due.get(session) == deadline:
                return deadline
            heappop(self._deadlines)
        return None

    def wait_for(self, session: Session[PeerT], now: datetime) -> None:
        """Give the client of a new session some time to prove who it is."""
        self._set_deadline(session, now + self._patience)

    def identify(self, session: Session[PeerT], caller: Caller, now: datetime) -> None:
        """Begin the session as the caller's, or prolong it, and say hello.

        Closes the session if the caller may not follow alarms, is not the session's present caller, or has
        too many.
        """
        if session.closed:
            return
        before = self._callers.get(session)
        if before is not None and (caller.tenant, caller.subject) != (before[0].tenant, before[0].subject):
            self._close(session, FORBIDDEN, "a session stays with its subject and tenant")
        elif not caller.has(READERS):
            self._close(session, FORBIDDEN, "the role operator, viewer or admin is needed")
        elif before is None and (refusal := self._counts.refusal(caller)) is not None:
            self._sessions.refuse(session, ErrorMessage(code="too_many_sessions", detail=refusal), TOO_MANY)
        else:
            if before is None:
                self._counts.begun(caller)
            self._callers[session] = (caller, now if before is None else before[1])
            session.belongs_to(caller.tenant, caller.subject)
            self._set_deadline(session, caller.expires_at)
            self._sessions.greet(session)

    def refusal(self, caller: Caller) -> str | None:
        """Return why the caller gets no further session; None: it does."""
        return self._counts.refusal(caller)

    def deny(self, session: Session[PeerT], reason: str) -> None:
        """Close a session whose client did not prove who it is."""
        self._close(session, UNAUTHENTICATED, reason)

    def end_overdue(self, now: datetime) -> None:
        """Close every session whose time is over."""
        while (deadline := self.next_deadline) is not None and deadline <= now:
            session = heappop(self._deadlines)[2]
            self.deny(session, "expired" if session in self._callers else "not authenticated in time")

    def revoke(self, revocation: Revocation) -> None:
        """Close the sessions that a revocation concerns."""
        code = UNAUTHENTICATED if revocation.kind == "key" else FORBIDDEN
        for session, (caller, _) in list(self._callers.items()):
            if revocation.concerns(caller):
                self._close(session, code, revocation.reason or "disconnected")

    def forget(self, session: Session[PeerT]) -> None:
        """Forget a session: its socket is gone."""
        found = self._callers.pop(session, None)
        if found is not None:
            self._counts.ended(found[0])
        self._due.pop(session, None)

    def infos(self, tenant: str) -> Iterator[SessionInfo]:
        """Yield the tenant's sessions."""
        for session, (caller, since) in self._callers.items():
            if caller.tenant == tenant and not session.closed:
                yield SessionInfo(
                    subject=caller.subject,
                    tenant=tenant,
                    since=since,
                    expires_at=caller.expires_at,
                    subscriptions=len(session.subscriptions),
                    slow=session.busy,
                    encoding=session.encoding.subprotocol,
                )

    def _close(self, session: Session[PeerT], code: int, reason: str) -> None:
        self._due.pop(session, None)
        self._sessions.close(session, code, reason.encode()[:REASON_BYTES].decode(errors="ignore"))

    def _set_deadline(self, session: Session[PeerT], deadline: datetime | None) -> None:
        if deadline is None:
            self._due.pop(session, None)
            return
        self._due[session] = deadline
        self._count += 1
        heappush(self._deadlines, (deadline, self._count, session))
        if len(self._deadlines) > 2 * len(self._due) + _STALE:
            # A client that sends `auth` again and again would fill the memory.
            self._deadlines = [each for each in self._deadlines if self._due.get(each[2]) == each[0]]
            heapify(self._deadlines)

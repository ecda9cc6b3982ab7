"""Sessions and their subscriptions: each subscription is a cursor, not a queue of events."""

from collections import deque
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Generic, TypeVar

import msgspec

from core.delivery.encodings.encoding import Encoding
from core.delivery.protocol import Close

if TYPE_CHECKING:
    from core.delivery.cohort import Cohort

ANSWERS = 64
"""How many answers may wait for a busy session before its messages stay unread."""

ANSWER_BYTES = 1024 * 1024
"""How many bytes of answers may wait, a page of a snapshot among them, before its messages stay unread."""

PeerT = TypeVar("PeerT")
"""The driver's side of a session."""


class Stage(Enum):
    """What a subscription is waiting for."""

    TAIL = "whether the log has reached its position"
    SNAPSHOT = "rows of the alarm list"
    PAGE = "a page of the log"
    LIVE = "events"
    OVER = "nothing more"


class Subscription(Generic[PeerT]):
    """A cursor: the client has, or does not need, every event up to it. Once live it only moves forward.

    Its methods alone move the cursor and change the stage; each is named after what happened.
    """

    __slots__ = ("cohort", "conflate", "cursor", "id", "session", "stage", "told")

    def __init__(
        self, session: "Session[PeerT]", name: str, cohort: "Cohort[PeerT]", *, conflate: bool
    ) -> None:
        self.session = session
        self.id = name
        self.cohort = cohort
        self.conflate = conflate
        # Below 0 until the start is known.
        self.cursor = -1
        self.stage = Stage.TAIL
        # The last position that the client was told.
        self.told = 0

    @property
    def scanning(self) -> bool:
        """Whether it waits for rows of the alarm list."""
        return self.stage is Stage.SNAPSHOT

    def snapshot_asked(self) -> None:
        """Wait for rows of the alarm list."""
        self.stage = Stage.SNAPSHOT

    def scan_began(self, position: int) -> bool:
        """Note the checkpoint before a scan; return whether it is the first scan.

        The lowest checkpoint counts: a row that was sent and left the filter since would otherwise stay with
        the client for ever.
        """
        first = self.cursor < 0
        self.cursor = position if first else min(self.cursor, position)
        return first

    def joined(self, position: int) -> None:
        """Go on with the events after the position, which the client knows."""
        self.cursor = self.told = position
        self.stage = Stage.LIVE

    def page_missing(self) -> None:
        """Wait for a page of the log."""
        self.stage = Stage.PAGE

    def page_came(self) -> None:
        """Go on: the page of the log is there."""
        self.stage = Stage.LIVE

    def passed(self, position: int) -> None:
        """Move past events that do not match."""
        self.cursor = position

    def received(self, position: int) -> None:
        """Move on: the client is told this position, in a message of its own or with events."""
        self.cursor = self.told = position

    def ended(self) -> None:
        """Wait for nothing more."""
        self.stage = Stage.OVER


class Session(Generic[PeerT]):
    """One connected client. `peer` is the driver's side of the session."""

    __slots__ = (
        "_waiting_bytes",
        "answers",
        "busy",
        "closed",
        "encoding",
        "known",
        "peer",
        "single",
        "subject",
        "subscriptions",
        "tenant",
    )

    def __init__(self, encoding: Encoding, peer: PeerT, *, single: bool = False) -> None:
        self.tenant = ""
        self.subject = ""
        # Whether the client has proved who it is; until then it is told nothing.
        self.known = False
        self.encoding = encoding
        self.peer = peer
        # The session is for one subscription, and ends with it.
        self.single = single
        self.subscriptions: dict[str, Subscription[PeerT]] = {}
        # Messages that are not events, in order; they go out before any event.
        self.answers: deque[bytes | Close] = deque()
        self._waiting_bytes = 0
        # The socket is full.
        self.busy = False
        # Nothing more goes out, except for the waiting answers.
        self.closed = False

    @property
    def answered(self) -> bool:
        """Whether every answer has gone out."""
        return not self.answers

    @property
    def full(self) -> bool:
        """Whether so many answers wait that the client's messages should stay unread."""
        return len(self.answers) >= ANSWERS or self._waiting_bytes >= ANSWER_BYTES

    def queue(self, answer: bytes | Close) -> None:
        """Let an answer wait for its turn."""
        self.answers.append(answer)
        if isinstance(answer, bytes):
            self._waiting_bytes += len(answer)

    def take_answer(self) -> bytes | Close:
        """Return the answer whose turn it is."""
        answer = self.answers.popleft()
        if isinstance(answer, bytes):
            self._waiting_bytes -= len(answer)
        return answer

    def belongs_to(self, tenant: str, subject: str) -> None:
        """Note the tenant and subject that the client has proved."""
        self.tenant, self.subject, self.known = tenant, subject, True

    def end(self) -> None:
        """Drop everything to send: the socket is gone."""
        self.closed = True
        self.answers.clear()
        self._waiting_bytes = 0


class SessionInfo(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A session as the API shows it. `slow`: its socket is full, so nothing is sent to it at the moment."""

    subject: str
    tenant: str
    since: datetime
    expires_at: datetime | None
    subscriptions: int
    slow: bool
    encoding: str

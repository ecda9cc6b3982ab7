"""Sessions and their subscriptions: a cursor each, and no queue of events."""

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
"""How many answers can wait for a busy session before no more of its messages are read."""

Peer = TypeVar("Peer")
"""The driver's side of a session."""


class Stage(Enum):
    """What a subscription is waiting for."""

    TAIL = "whether the log has reached its position"
    SNAPSHOT = "rows of the alarm list"
    PAGE = "a page of the log"
    LIVE = "events"
    OVER = "nothing more"


class Subscription(Generic[Peer]):
    """A cursor: the client has, or needs not have, every event up to it. It only moves forward."""

    __slots__ = ("cohort", "conflate", "cursor", "id", "session", "stage", "told")

    def __init__(
        self, session: "Session[Peer]", name: str, cohort: "Cohort[Peer]", *, conflate: bool
    ) -> None:
        self.session = session
        self.id = name
        self.cohort = cohort
        self.conflate = conflate
        # Below 0 while it is not known where to begin.
        self.cursor = -1
        self.stage = Stage.TAIL
        # The last position that the client was told.
        self.told = 0


class Session(Generic[Peer]):
    """One connected client. `peer` is the driver's side of it."""

    __slots__ = (
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

    def __init__(self, encoding: Encoding, peer: Peer, *, single: bool = False) -> None:
        self.tenant = ""
        self.subject = ""
        # Whether it is certain whose it is; until then it is told nothing.
        self.known = False
        self.encoding = encoding
        self.peer = peer
        # It is for one subscription, and ends with it.
        self.single = single
        self.subscriptions: dict[str, Subscription[Peer]] = {}
        # Messages that are not events, in order; they go out before any event.
        self.answers: deque[bytes | Close] = deque()
        # Its socket takes nothing at the moment.
        self.busy = False
        # Nothing is to be sent any more, but for what is among the answers.
        self.closed = False

    @property
    def full(self) -> bool:
        """Whether so many answers wait that no more of its messages should be read."""
        return len(self.answers) >= ANSWERS

    def belongs_to(self, tenant: str, subject: str) -> None:
        """Take it as certain whose it is."""
        self.tenant, self.subject, self.known = tenant, subject, True

    def end(self) -> None:
        """Keep nothing to send: its socket is gone."""
        self.closed = True
        self.answers.clear()


class SessionInfo(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A session as it is shown. `slow`: its socket is full, so nothing is sent to it at the moment."""

    subject: str
    tenant: str
    since: datetime
    expires_at: datetime | None
    subscriptions: int
    slow: bool
    encoding: str

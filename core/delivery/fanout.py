"""The fan-out: takes events, and gives each session its answers and frames in turn."""

from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Generic

from core.alarm.events import Event
from core.delivery.catchup import CatchUp
from core.delivery.cohort import Cohort
from core.delivery.cohorts import Cohorts
from core.delivery.frame import Frame
from core.delivery.protocol import Close, PositionMessage, ServerMessage
from core.delivery.ring import Ring
from core.delivery.session import PeerT, Session, Stage, Subscription

POSITION_LAG = 1_000
"""After how many positions without a match a client is told its position."""
LIVE_SHARE = 8
"""How many live frames go out for each frame to a session that is behind, while both are waiting."""

ToSend = tuple[Session[PeerT], bytes | Close] | None


class Fanout(Generic[PeerT]):
    """Decides who is next: answers first, then live sessions, with a share for those that are behind."""

    def __init__(self, ring: Ring, cohorts: Cohorts[PeerT], catch_up: CatchUp[PeerT]) -> None:
        self._ring = ring
        self._cohorts = cohorts
        self._catch_up = catch_up
        # Cohorts with a new match; members of the cohort in its turn; subscriptions with more waiting.
        self._dirty: OrderedDict[Cohort[PeerT], None] = OrderedDict()
        self._live: deque[Subscription[PeerT]] = deque()
        self._behind: deque[Subscription[PeerT]] = deque()
        self._answering: deque[Session[PeerT]] = deque()
        self._served = 0

    def publish(self, events: Sequence[Event]) -> None:
        """Take the next events of the log. Raises LogMismatch unless they directly follow the last."""
        for event in events:
            self._ring.append(event)
            for cohort, left in self._cohorts.concerned(event):
                cohort.add(event.position, left=left)
                self._dirty[cohort] = None

    def answer(self, session: Session[PeerT], message: ServerMessage) -> None:
        """Send a message other than events."""
        self.send(session, session.encoding.message(message))

    def send(self, session: Session[PeerT], payload: bytes | Close) -> None:
        """Send an encoded message, or the close."""
        session.queue(payload)
        self._queue_answers(session)

    def busy(self, session: Session[PeerT]) -> None:
        """Send nothing to this session until `resumed`."""
        session.busy = True

    def resumed(self, session: Session[PeerT]) -> None:
        """Go on with a session whose socket takes data again."""
        session.busy = False
        self._queue_answers(session)
        self._behind.extend(session.subscriptions.values())

    def join(self, subscription: Subscription[PeerT], position: int) -> None:
        """Send everything that matches after the position."""
        subscription.joined(position)
        subscription.cohort.serve(subscription)
        self._behind.append(subscription)

    def go_on(self, subscriptions: Iterable[Subscription[PeerT]]) -> None:
        """Go on with subscriptions that waited for a page."""
        self._behind.extend(subscriptions)

    def tell_if_quiet(self, subscription: Subscription[PeerT]) -> None:
        """Tell the client its position if it has heard nothing for long, and nothing is waiting for it."""
        last = self._ring.last
        if (
            last - subscription.told >= POSITION_LAG
            and subscription.stage is Stage.LIVE
            and not subscription.session.busy
            and not subscription.cohort.behind(subscription.cursor, self._ring)
            and subscription.cohort.frame(subscription.cursor, self._ring) is None
        ):
            self._tell(subscription, last)

    def outgoing(self) -> Iterator[ToSend[PeerT]]:
        """Yield what is to be sent; see `Delivery.outgoing`."""
        live = Stage.LIVE
        while True:
            if self._answering:
                session = self._answering.popleft()
                if session.answers and not session.busy:
                    answer = session.take_answer()
                    self._queue_answers(session)
                    yield session, answer
                continue
            if self._dirty and not self._live:
                # The oldest first: cohorts with many events would starve the others.
                self._live.extend(self._dirty.popitem(last=False)[0].members)
                continue
            self._served += 1
            if self._live and (self._served % LIVE_SHARE or not self._behind):
                subscription = self._live.popleft()
            elif self._behind:
                subscription = self._behind.popleft()
            else:
                return
            if subscription.session.busy or subscription.stage is not live:
                continue
            frame = subscription.cohort.newest
            # Nearly always the member before this one was sent the same frame.
            if frame is None or subscription.conflate or not frame.low <= subscription.cursor < frame.first:
                frame = self._next_frame(subscription)
            if frame is not None:
                yield self._advance(subscription, frame)

    def _next_frame(self, subscription: Subscription[PeerT]) -> Frame | None:
        cohort = subscription.cohort
        if cohort.behind(subscription.cursor, self._ring):
            return self._catch_up.frame(subscription)
        if subscription.conflate:
            return cohort.conflated(subscription.cursor, self._ring)
        return cohort.frame(subscription.cursor, self._ring)

    def _advance(self, subscription: Subscription[PeerT], frame: Frame) -> ToSend[PeerT]:
        """Move the cursor to the frame's end, and return what the frame gives to send."""
        end = frame.end
        if end < self._ring.last:
            self._behind.append(subscription)
        if frame.body:
            subscription.received(end)
            return subscription.session, frame.payload(subscription.id)
        subscription.passed(end)
        if end - subscription.told >= POSITION_LAG:
            self._tell(subscription, end)
        return None

    def _tell(self, subscription: Subscription[PeerT], position: int) -> None:
        subscription.received(position)
        self.answer(subscription.session, PositionMessage(id=subscription.id, position=position))

    def _queue_answers(self, session: Session[PeerT]) -> None:
        """Let the session's answers go out."""
        if session.answers and not session.busy:
            self._answering.append(session)

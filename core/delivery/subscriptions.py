"""Subscriptions: begins them at once, or after the log's tail or a snapshot, and ends them."""

from collections.abc import Iterable, Sequence
from typing import Any, Generic, assert_never

from core.alarm.alarm import Alarm
from core.delivery.cohorts import Cohorts
from core.delivery.encodings.encoding import Encoding
from core.delivery.fanout import Fanout
from core.delivery.frame import FRAME_BYTES
from core.delivery.limits import Limits
from core.delivery.protocol import (
    DUPLICATE_ID,
    TOO_MANY,
    ErrorCode,
    ErrorMessage,
    ResetMessage,
    Subscribe,
    Subscribed,
    Unsubscribe,
)
from core.delivery.requests import NeedSnapshot, NeedTail, Requests
from core.delivery.ring import Ring
from core.delivery.session import PeerT, Session, Stage, Subscription
from core.delivery.sessions import Sessions
from core.errors import InvalidInput


class Subscriptions(Generic[PeerT]):
    """Carries out clients' subscribe and unsubscribe messages."""

    def __init__(  # noqa: PLR0913 (the delivery's parts, and the limits)
        self,
        ring: Ring,
        cohorts: Cohorts[PeerT],
        fanout: Fanout[PeerT],
        sessions: Sessions[PeerT],
        requests: Requests,
        *,
        limits: Limits,
    ) -> None:
        self._ring = ring
        self._cohorts = cohorts
        self._fanout = fanout
        self._sessions = sessions
        self._requests = requests
        self._limits = limits

    def handle(self, session: Session[PeerT], message: Subscribe | Unsubscribe) -> None:
        """Carry out a client's message; the answer goes out with the rest."""
        if session.closed:
            return
        match message:
            case Subscribe():
                self._subscribe(session, message)
            case Unsubscribe():
                self._unsubscribe(session, message.id)
            case _:
                assert_never(message)

    def refuse(self, session: Session[PeerT], error: ErrorMessage, close: int | None = None) -> None:
        """Tell the client what was wrong, and close its socket if a code is given."""
        if close is not None:
            self._sessions.refuse(session, error, close)
        elif not session.closed:
            self._fanout.answer(session, error)

    def tail(self, request: NeedTail, position: int) -> None:
        """Take the position of the log's tail (see `Delivery.tail`)."""
        subscription = request.subscription
        if subscription.stage is not Stage.TAIL:
            return
        if request.after <= position:
            self._accept(subscription, request.after)
        else:
            self._sessions.end_with(subscription, ResetMessage(id=subscription.id, reason="position_ahead"))

    def snapshot_began(self, subscription: Subscription[PeerT], position: int) -> None:
        """Take the checkpoint read before the scan, also when the scan starts over."""
        if subscription.scanning and subscription.scan_began(position):
            self._fanout.answer(subscription.session, Subscribed(id=subscription.id, position=position))

    def snapshot_rows(self, subscription: Subscription[PeerT], alarms: Sequence[Alarm]) -> None:
        """Send the rows of a page of the alarm list that match and are not normal."""
        if not subscription.scanning:
            return
        matcher, encoding = subscription.cohort.matcher, subscription.session.encoding
        rows = (alarm for alarm in alarms if alarm.state != "normal" and matcher.matches(alarm))
        for frame in _frames(encoding, rows):
            message = encoding.snapshot(subscription.id, frame, subscription.cursor, done=False)
            self._fanout.send(subscription.session, message)

    def snapshot_ended(self, subscription: Subscription[PeerT]) -> None:
        """Say that the list is complete, and go on with the events after it."""
        if not subscription.scanning:
            return
        encoding, position = subscription.session.encoding, subscription.cursor
        self._fanout.send(subscription.session, encoding.snapshot(subscription.id, (), position, done=True))
        self._fanout.join(subscription, position)

    def give_up(self, subscriptions: Iterable[Subscription[PeerT]], detail: str) -> None:
        """End subscriptions whose data could not be fetched."""
        for subscription in subscriptions:
            if subscription.stage is not Stage.OVER:
                error = ErrorMessage(id=subscription.id, code="unavailable", detail=detail)
                self._sessions.end_with(subscription, error)

    def _subscribe(self, session: Session[PeerT], wanted: Subscribe) -> None:
        refusal = _refusal(session, wanted, self._limits)
        if refusal is not None:
            self.refuse(session, *refusal)
        elif wanted.after is not None and wanted.log not in (None, self._ring.log):
            self._sessions.dismiss(session, ResetMessage(id=wanted.id, reason="log_changed"))
        else:
            self._begin(self._subscription(session, wanted), wanted)

    def _subscription(self, session: Session[PeerT], wanted: Subscribe) -> Subscription[PeerT]:
        cohort = self._cohorts.enter(session.tenant, wanted.filter, session.encoding, self._ring.last)
        subscription = Subscription(session, wanted.id, cohort, conflate=wanted.conflate)
        session.subscriptions[wanted.id] = subscription
        return subscription

    def _begin(self, subscription: Subscription[PeerT], wanted: Subscribe) -> None:
        last = self._ring.last
        if wanted.snapshot:
            subscription.snapshot_asked()
            self._requests.add(NeedSnapshot(subscription))
        elif wanted.after is not None and wanted.after > last:
            # Another process may have read further: only the log itself can tell.
            self._requests.add(NeedTail(subscription, wanted.after))
        else:
            self._accept(subscription, last if wanted.after is None else wanted.after)

    def _accept(self, subscription: Subscription[PeerT], position: int) -> None:
        self._fanout.answer(subscription.session, Subscribed(id=subscription.id, position=position))
        self._fanout.join(subscription, position)

    def _unsubscribe(self, session: Session[PeerT], name: str) -> None:
        subscription = session.subscriptions.get(name)
        if subscription is None:
            detail = "there is no subscription with this id"
            self._fanout.answer(session, ErrorMessage(id=name, code="unknown_subscription", detail=detail))
        else:
            self._sessions.end(subscription)


def _refusal(
    session: Session[Any], wanted: Subscribe, limits: Limits
) -> tuple[ErrorMessage, int | None] | None:
    """Return what is wrong with a subscription, and the close code if the session ends with it."""
    if wanted.id in session.subscriptions:
        return _error(wanted, "duplicate_id", "there is a subscription with this id already"), DUPLICATE_ID
    if len(session.subscriptions) >= limits.subscriptions:
        detail = f"a session has at most {limits.subscriptions} subscriptions"
        return _error(wanted, "too_many_subscriptions", detail), TOO_MANY
    try:
        wanted.check(limits.filter_values)
    except InvalidInput as error:
        return _error(wanted, "invalid", error.detail), None
    return None


def _error(wanted: Subscribe, code: ErrorCode, detail: str) -> ErrorMessage:
    return ErrorMessage(id=wanted.id, code=code, detail=detail)


def _frames(encoding: Encoding, alarms: Iterable[Alarm]) -> list[list[bytes]]:
    """Encode alarms, and group them into frames."""
    frames: list[list[bytes]] = []
    room = 0
    for alarm in alarms:
        part = encoding.part(alarm)
        if not frames or len(part) > room:
            frames.append([])
            room = FRAME_BYTES
        frames[-1].append(part)
        room -= len(part)
    return frames

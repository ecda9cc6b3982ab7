"""Catch-up: serves subscriptions that are behind, from the ring or from pages of the log."""

from collections.abc import Sequence
from typing import Generic

from core.alarm.events import Event
from core.delivery.frame import Frame, KeptFrames
from core.delivery.pages import Pages, page_end, page_of
from core.delivery.requests import NeedPage, Requests
from core.delivery.ring import EncodedEvent, Ring
from core.delivery.session import PeerT, Stage, Subscription


class CatchUp(Generic[PeerT]):
    """Looks through the events after a cursor, a page at a time.

    Pages start at the same positions for all, so subscriptions that were behind by different amounts soon
    share their frames. Missing pages are added to the requests.
    """

    def __init__(self, ring: Ring, requests: Requests) -> None:
        self._ring = ring
        self._requests = requests
        self._pages = Pages()
        self._kept = KeptFrames()
        self._waiting: dict[int, list[Subscription[PeerT]]] = {}
        self._epoch = 0

    def restart(self) -> None:
        """Forget everything of the old log, and ignore its pages that are under way."""
        self._epoch += 1
        self._pages.clear()
        self._kept.clear()
        self._waiting.clear()

    def frame(self, subscription: Subscription[PeerT]) -> Frame | None:
        """Return the subscription's next frame; None: the subscription waits for a page of the log."""
        cohort = subscription.cohort
        key = (cohort, subscription.cursor, subscription.conflate)
        frame = self._kept.get(key)
        if frame is None:
            entries = self._entries(subscription)
            if not entries:
                self._wait(subscription)
                return None
            frame = cohort.scan(entries, subscription.cursor, conflate=subscription.conflate)
            self._kept.keep(key, frame)
        return frame

    def needs(self, request: NeedPage) -> bool:
        """Tell whether a subscription still waits for the page."""
        if self.waiting_for(request):
            return True
        if request.epoch == self._epoch:
            # The driver drops this request, so the next subscription must make it anew.
            self._waiting.pop(request.number, None)
        return False

    def waiting_for(self, request: NeedPage) -> Sequence[Subscription[PeerT]]:
        """Return the subscriptions that wait for the page."""
        if request.epoch != self._epoch:
            return ()
        return [each for each in self._waiting.get(request.number, ()) if each.stage is Stage.PAGE]

    def page(self, request: NeedPage, events: Sequence[Event]) -> Sequence[Subscription[PeerT]]:
        """Take what a read brought of a page; return the subscriptions that it serves.

        Raises:
            LogMismatch: the events do not directly follow the request's position.
        """
        if request.epoch != self._epoch:
            return ()
        self._pages.keep(request.number, request.after, events)
        reached = min(events[-1].position, page_end(request.number)) if events else request.after
        waiting = self.waiting_for(request)
        self._waiting.pop(request.number, None)
        served = [each for each in waiting if each.cursor < reached]
        for subscription in served:
            subscription.page_came()
        if len(served) < len(waiting):
            self._waiting[request.number] = [each for each in waiting if each.cursor >= reached]
            # A short read is not the log's end: an answer holds so many bytes. Only an empty one makes wait.
            tries = 0 if events else request.tries + 1
            self._requests.add(NeedPage(request.number, self._epoch, reached, tries))
        return served

    def _entries(self, subscription: Subscription[PeerT]) -> Sequence[EncodedEvent]:
        after = subscription.cursor
        if after + 1 < self._ring.first:
            return self._pages.after(after)
        # Conflating needs every event: the newest event of an alarm may be the last one.
        end = self._ring.last if subscription.conflate else page_end(page_of(after + 1))
        return self._ring.between(after, min(end, self._ring.last))

    def _wait(self, subscription: Subscription[PeerT]) -> None:
        subscription.page_missing()
        number = page_of(subscription.cursor + 1)
        if number not in self._waiting:
            self._waiting[number] = []
            after = self._pages.read_up_to(subscription.cursor)
            self._requests.add(NeedPage(number, self._epoch, after))
        self._waiting[number].append(subscription)

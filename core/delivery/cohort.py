"""Cohorts: subscriptions with the same tenant, filter and encoding, which get the same frames."""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from typing import Generic

from core.delivery.encodings.encoding import Encoding
from core.delivery.frame import Frame, conflated, filled
from core.delivery.ring import EncodedEvent, Ring
from core.delivery.session import PeerT, Subscription
from core.lists.filter import Filter, Matcher

MATCHES = 512
"""How many matches a cohort remembers; catch-up serves subscriptions that are further behind."""

CohortKey = tuple[str, Filter, str]
"""Tenant, filter and subprotocol."""


class Cohort(Generic[PeerT]):
    """The members, and the positions of the newest matching events."""

    __slots__ = (
        "_left",
        "_positions",
        "encoding",
        "filter",
        "key",
        "matcher",
        "members",
        "newest",
        "since",
        "tenant",
        "users",
    )

    def __init__(self, tenant: str, wanted: Filter, encoding: Encoding, since: int) -> None:
        self.tenant = tenant
        self.filter = wanted
        self.encoding = encoding
        self.key: CohortKey = (tenant, wanted, encoding.subprotocol)
        self.matcher = Matcher(wanted)
        # An ordered set of the subscriptions that are served.
        self.members: dict[Subscription[PeerT], None] = {}
        # How many subscriptions belong to the cohort, served or not yet.
        self.users = 0
        # Every match after this position is remembered.
        self.since = since
        self._positions = array("q")
        self._left: set[int] = set()
        # The frame made last from the matches.
        self.newest: Frame | None = None

    def serve(self, subscription: Subscription[PeerT]) -> None:
        """Send the cohort's frames to one more subscription."""
        self.members[subscription] = None

    def add(self, position: int, *, left: bool) -> None:
        """Note that the newest event matches."""
        if len(self._positions) >= MATCHES:
            self._forget(MATCHES // 2)
        self._positions.append(position)
        if left:
            self._left.add(position)
        self.newest = None

    def behind(self, cursor: int, ring: Ring) -> bool:
        """Tell whether the cohort may have forgotten matches after the cursor."""
        if self._positions and self._positions[0] < ring.first:
            self._forget(bisect_left(self._positions, ring.first))
        return cursor < self.since

    def frame(self, cursor: int, ring: Ring) -> Frame | None:
        """Return the frame for a cursor that is not behind; None: nothing is waiting."""
        index = bisect_right(self._positions, cursor)
        if index == len(self._positions):
            return None
        low = self._positions[index - 1] if index else self.since
        self.newest = filled(self.encoding, self._waiting(index, ring), low, ring.last)
        return self.newest

    def conflated(self, cursor: int, ring: Ring) -> Frame | None:
        """Return the newest waiting event of each alarm, for a cursor that is not behind."""
        index = bisect_right(self._positions, cursor)
        if len(self._positions) - index < 2:  # noqa: PLR2004 (a single one is conflated already)
            return self.frame(cursor, ring)
        return filled(self.encoding, conflated(self._waiting(index, ring)), cursor, ring.last)

    def scan(self, entries: Iterable[EncodedEvent], cursor: int, *, conflate: bool) -> Frame:
        """Return the frame for a cursor that is behind, from the entries that directly follow it."""
        waiting: list[tuple[EncodedEvent, bool]] = []
        end = cursor
        for entry in entries:
            end = entry.event.position
            if entry.event.tenant == self.tenant:
                verdict = self.matcher.verdict(entry.event)
                if verdict != "no":
                    waiting.append((entry, verdict == "left"))
        return filled(self.encoding, conflated(waiting) if conflate else waiting, cursor, end)

    def _waiting(self, index: int, ring: Ring) -> Iterator[tuple[EncodedEvent, bool]]:
        for place in range(index, len(self._positions)):
            position = self._positions[place]
            yield ring.entry(position), position in self._left

    def _forget(self, count: int) -> None:
        if count:
            self.since = self._positions[count - 1]
            del self._positions[:count]
            if self._left:
                self._left = {position for position in self._left if position > self.since}

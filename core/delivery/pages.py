"""Pages of the log, for sessions that are behind the ring: read once for all that need them."""

from collections import OrderedDict
from collections.abc import Sequence

from core.alarm.events import Event
from core.delivery.ring import EncodedEvent, weight_of
from core.errors import LogMismatch

PAGE_EVENTS = 500
KEPT_PAGES = 16
KEPT_BYTES = 64 * 1024 * 1024
"""How many bytes the kept pages take together, as `weight_of` estimates; what was read last always stays."""


def page_of(position: int) -> int:
    """Return the number of the page that the position is on; page 0 starts at position 1."""
    return (position - 1) // PAGE_EVENTS


def page_end(number: int) -> int:
    """Return the last position of a page."""
    return (number + 1) * PAGE_EVENTS


class _KeptPage:
    """A part of a page: the events directly after `after`, as far as they were read."""

    __slots__ = ("after", "entries", "weight")

    def __init__(self, after: int) -> None:
        self.after = after
        self.entries: list[EncodedEvent] = []
        self.weight = 0

    @property
    def end(self) -> int:
        return self.after + len(self.entries)

    def extend(self, events: Sequence[Event]) -> int:
        """Add the next events; return their weight."""
        added = sum(map(weight_of, events))
        self.entries += map(EncodedEvent, events)
        self.weight += added
        return added


class Pages:
    """The pages read last. One read may bring only a part of a page; the next one goes on behind it."""

    def __init__(self, kept: int = KEPT_PAGES, size: int = KEPT_BYTES) -> None:
        self._kept = kept
        self._size = size
        self._pages: OrderedDict[int, _KeptPage] = OrderedDict()
        self._weight = 0

    def after(self, cursor: int) -> Sequence[EncodedEvent]:
        """Return the known events of the page after the cursor; empty: more of the page must be read."""
        number = page_of(cursor + 1)
        page = self._pages.get(number)
        if page is None or cursor < page.after:
            return ()
        self._pages.move_to_end(number)
        return page.entries[cursor - page.after :]

    def read_up_to(self, cursor: int) -> int:
        """Return the position after which the cursor's page must be read on."""
        number = page_of(cursor + 1)
        page = self._pages.get(number)
        if page is None or cursor < page.after:
            return page_end(number - 1)
        return page.end

    def keep(self, number: int, after: int, events: Sequence[Event]) -> None:
        """Keep the events of a page after a position, as far as they came. Raises LogMismatch at a gap."""
        events = events[: page_end(number) - after]
        for place, event in enumerate(events, after + 1):
            if event.position != place:
                raise LogMismatch(f"event {event.position} is where {place} should be")
        page = self._pages.get(number)
        if page is None or page.end != after:
            self._drop(number)
            page = self._pages[number] = _KeptPage(after)
        self._weight += page.extend(events)
        self._pages.move_to_end(number)
        while len(self._pages) > 1 and (len(self._pages) > self._kept or self._weight > self._size):
            self._drop(next(iter(self._pages)))

    def clear(self) -> None:
        """Forget all pages."""
        self._pages.clear()
        self._weight = 0

    def _drop(self, number: int) -> None:
        page = self._pages.pop(number, None)
        if page is not None:
            self._weight -= page.weight

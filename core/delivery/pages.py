"""Pages of the log, for sessions that are behind the ring: read once for all that need them."""

from collections import OrderedDict
from collections.abc import Sequence

from core.alarm.events import Event
from core.delivery.ring import EncodedEvent
from core.errors import LogMismatch

PAGE_EVENTS = 500
KEPT_PAGES = 16


def page_of(position: int) -> int:
    """Return the number of the page that the position is on; page 0 starts at position 1."""
    return (position - 1) // PAGE_EVENTS


def page_end(number: int) -> int:
    """Return the last position of a page."""
    return (number + 1) * PAGE_EVENTS


class Pages:
    """The pages read last."""

    def __init__(self, kept: int = KEPT_PAGES) -> None:
        self._kept = kept
        self._pages: OrderedDict[int, Sequence[EncodedEvent]] = OrderedDict()

    def after(self, cursor: int) -> Sequence[EncodedEvent]:
        """Return the known events of the page after the cursor; empty: the page must be read."""
        number = page_of(cursor + 1)
        page = self._pages.get(number)
        if page is None:
            return ()
        self._pages.move_to_end(number)
        return page[cursor - number * PAGE_EVENTS :]

    def keep(self, number: int, events: Sequence[Event]) -> None:
        """Keep a page as far as it was read. Raises LogMismatch at a gap."""
        for place, event in enumerate(events[:PAGE_EVENTS], number * PAGE_EVENTS + 1):
            if event.position != place:
                raise LogMismatch(f"event {event.position} is where {place} should be")
        self._pages.pop(number, None)
        self._pages[number] = [EncodedEvent(event) for event in events[:PAGE_EVENTS]]
        while len(self._pages) > self._kept:
            self._pages.popitem(last=False)

    def clear(self) -> None:
        """Forget all pages."""
        self._pages.clear()

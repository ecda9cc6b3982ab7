"""An event on its way into the log."""

from collections.abc import Callable

from core.alarm.alarm import Alarm
from core.alarm.events import Event
from core.alarm.weight import memory_of
from core.errors import TocsinError


class Submission:
    """One decided event on its way into the log; `done` is called once, with the event or the error.

    `since` is when the event was submitted, in seconds of any clock that the caller chooses.
    """

    __slots__ = ("_done", "answered", "before", "event", "in_doubt", "since", "size", "under_way")

    def __init__(
        self,
        before: Alarm,
        event: Event,
        done: Callable[[Event | TocsinError], None],
        since: float = 0.0,
    ) -> None:
        self.before = before
        self.event = event
        self._done = done
        self.since = since
        self.size = _size(event)
        self.answered = False
        # Whether a batch holds the event, or another process: from then on it may land without an answer.
        self.under_way = False
        # Whether it may have landed before it came into this queue.
        self.in_doubt = False

    def settle(self, result: Event | TocsinError) -> None:
        """Tell the result, unless one was told before."""
        if not self.answered:
            self.answered = True
            self._done(result)


def _size(event: Event) -> int:
    try:
        return memory_of(event)
    except (UnicodeError, OverflowError):
        # The store will refuse it.
        return 0

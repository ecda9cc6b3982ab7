"""Encodes the events of an answer, as many as fit it, without keeping the event loop from others."""

import asyncio
from collections.abc import Callable, Sequence

from core.alarm.events import Event
from core.delivery.encodings.json import JSON
from core.delivery.ring import EncodedEvent

ANSWER_BYTES = 1024 * 1024
"""After so many bytes of events an answer takes no further one: many answers may wait for their readers."""
SLICE_BYTES = 64 * 1024
"""After so many bytes others have a turn."""
SLICE_EVENTS = 50
"""After so many events, encoded or left out, others have a turn: about 1 ms."""

Encode = Callable[[Event], bytes | None]
"""Returns an event as the answer shows it; None: the answer leaves it out."""


def plain(event: Event) -> bytes:
    """Return the event as the stream encodes it."""
    return JSON.event(EncodedEvent(event))


class EncodedEvents:
    """The encoded events of one answer: at most `limit`, and ANSWER_BYTES besides the last one."""

    def __init__(self, limit: int) -> None:
        self.events: list[bytes] = []
        self._limit = limit
        self._size = 0

    @property
    def full(self) -> bool:
        """Whether the answer takes no further event."""
        return len(self.events) >= self._limit or self._size >= ANSWER_BYTES

    async def take(self, events: Sequence[Event], encode: Encode) -> Event | None:
        """Take events until the answer is full; return the last one that was looked at."""
        last, turn = None, self._size + SLICE_BYTES
        for number, event in enumerate(events, 1):
            part, last = encode(event), event
            if part is not None:
                self.events.append(part)
                self._size += len(part)
            if self.full:
                break
            if self._size >= turn or number % SLICE_EVENTS == 0:
                turn = self._size + SLICE_BYTES
                await asyncio.sleep(0)
        return last

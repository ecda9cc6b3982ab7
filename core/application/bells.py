"""Bells: wake the parts of the process that wait for a change in a collection."""

import asyncio
from collections.abc import Callable, Iterable

Bell = Callable[[str], asyncio.Event]
"""Returns an event that is set once the collection changes, or may have changed."""


class Bells:
    """One bell for each collection that somebody waits for."""

    def __init__(self) -> None:
        self._waiting: dict[str, asyncio.Event] = {}

    def of(self, topic: str) -> asyncio.Event:
        """Return an event that is set once the collection changes, or may have changed."""
        return self._waiting.setdefault(topic, asyncio.Event())

    def ring(self, topics: Iterable[str]) -> None:
        """Wake who waits for these collections."""
        for topic in topics:
            waiting = self._waiting.pop(topic, None)
            if waiting is not None:
                waiting.set()

    def ring_all(self) -> None:
        """Wake who waits for any collection."""
        self.ring(tuple(self._waiting))

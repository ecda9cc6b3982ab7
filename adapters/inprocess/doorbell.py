"""A doorbell that rings for its own process's commits."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

from core.log.ports import Notice


class LocalDoorbell:
    """Rings when `ring` is called (see core.log.ports.Doorbell); it hears nothing of other processes.

    Notices without a listener are lost: a new listener reads the log and checks every topic first.
    Call it from the event loop's thread.
    """

    def __init__(self) -> None:
        self._listeners: set[_Listener] = set()

    def ring(self, position: int = 0, topics: Iterable[str] = ()) -> None:
        """Tell all listeners how far the log is, and in which topics something changed."""
        for listener in self._listeners:
            listener.hear(position, topics)

    @asynccontextmanager
    async def listen(
        self,
        moment: object,  # noqa: ARG002 (it keeps no earlier notices)
        known: Callable[[], int],  # noqa: ARG002 (its notices carry no events)
    ) -> AsyncIterator[AsyncIterator[Notice]]:
        """Give the notices of every `ring` from now on."""
        listener = _Listener()
        self._listeners.add(listener)
        try:
            yield listener.notices()
        finally:
            self._listeners.discard(listener)


class _Listener:
    """Merges the notices that a listener has not taken yet, so a slow listener costs no more memory."""

    def __init__(self) -> None:
        self._position = 0
        self._topics: set[str] = set()
        self._rung = asyncio.Event()

    def hear(self, position: int, topics: Iterable[str]) -> None:
        self._position = max(self._position, position)
        self._topics.update(topics)
        self._rung.set()

    async def notices(self) -> AsyncIterator[Notice]:
        while True:
            await self._rung.wait()
            self._rung.clear()
            position, topics = self._position, frozenset(self._topics)
            self._position = 0
            self._topics.clear()
            yield Notice(position=position, topics=topics)

"""The doorbell of one process: rung by what the process itself has committed."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

from core.log.ports import Notice


class LocalDoorbell:
    """Rings for what it is told of (see core.log.ports.Doorbell), and for nothing that another process does.

    What is told while nobody listens is lost: a listener reads the log and looks at every topic first.
    Call it from the thread of the event loop.
    """

    def __init__(self) -> None:
        self._ears: set[_Ear] = set()

    def ring(self, position: int = 0, topics: Iterable[str] = ()) -> None:
        """Tell all listeners how far the log is, and in which topics something changed."""
        for ear in self._ears:
            ear.hear(position, topics)

    @asynccontextmanager
    async def listen(
        self,
        moment: object,  # noqa: ARG002 (it rings from now on)
        known: Callable[[], int],  # noqa: ARG002 (it brings nothing along)
    ) -> AsyncIterator[AsyncIterator[Notice]]:
        """Ring for everything that is told from now on."""
        ear = _Ear()
        self._ears.add(ear)
        try:
            yield ear.notices()
        finally:
            self._ears.discard(ear)


class _Ear:
    """What one listener has been told and has not asked for yet: bounded, however slow it is."""

    def __init__(self) -> None:
        self._position = 0
        self._topics: set[str] = set()
        self._struck = asyncio.Event()

    def hear(self, position: int, topics: Iterable[str]) -> None:
        self._position = max(self._position, position)
        self._topics.update(topics)
        self._struck.set()

    async def notices(self) -> AsyncIterator[Notice]:
        while True:
            await self._struck.wait()
            self._struck.clear()
            position, topics = self._position, frozenset(self._topics)
            self._position = 0
            self._topics.clear()
            yield Notice(position=position, topics=topics)

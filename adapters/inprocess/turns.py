"""Runs one command at a time for each alarm, within this process."""

import asyncio
from collections import deque
from types import TracebackType

from core.errors import Unavailable

TURN_SECONDS = 5.0
"""How long a command waits for earlier commands on the same alarm."""


class StreamTurns:
    """Turns by stream, in order of arrival (see core.coordination.ports.Turns).

    A command waits at most `seconds`.
    """

    def __init__(self, seconds: float = TURN_SECONDS) -> None:
        self._seconds = seconds
        # By stream whose turn is held: who waits for it, None as long as nobody has.
        self._held: dict[str, deque[asyncio.Future[None]] | None] = {}

    def turn(self, stream: str) -> "_Turn":
        """Wait for the stream's turn and hold it. Raises Unavailable if it does not come in time."""
        return _Turn(self, stream)

    async def take(self, stream: str) -> None:
        """Take the turn, or wait for it. Raises Unavailable."""
        if stream not in self._held:
            self._held[stream] = None
            return
        waiting = self._held[stream]
        if waiting is None:
            waiting = self._held[stream] = deque()
        coming = asyncio.get_running_loop().create_future()
        waiting.append(coming)
        try:
            async with asyncio.timeout(self._seconds):
                await coming
        except BaseException as error:
            if coming.done() and not coming.cancelled():
                # It came together with the end of the wait.
                self.pass_on(stream)
            if isinstance(error, TimeoutError):
                raise Unavailable("too many commands on this alarm at once") from None
            raise

    def pass_on(self, stream: str) -> None:
        """Give the turn to the next that still waits."""
        waiting = self._held[stream]
        while waiting:
            coming = waiting.popleft()
            if not coming.done():
                coming.set_result(None)
                return
        del self._held[stream]


class _Turn:
    """The turn of one command; no generator, since every command makes one."""

    __slots__ = ("_stream", "_turns")

    def __init__(self, turns: StreamTurns, stream: str) -> None:
        self._turns = turns
        self._stream = stream

    async def __aenter__(self) -> None:
        await self._turns.take(self._stream)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._turns.pass_on(self._stream)

"""What both protocols share: where the application finds them, and word of sockets that are full or free."""

import asyncio
from collections.abc import Callable

WIRE = "tocsin.wire"
"""The key in `scope["extensions"]` under which the application finds the protocol."""
CUT_SECONDS = 10.0
"""How long a client may take for the end: to read the rest of a response, or to answer a close."""
STALL_SECONDS = 30.0
"""How long the client of an ordinary response may take nothing of it."""


class ResumingProtocol(asyncio.Protocol):
    """Calls `filled` when the socket is full, whoever filled it, and `resumed` when it takes data again.

    Without them, it cuts off a client that takes nothing for STALL_SECONDS: whoever waits for the socket
    would otherwise wait for ever, and keep what it wants to send.
    """

    transport: asyncio.Transport
    loop: asyncio.AbstractEventLoop
    filled: Callable[[], None] | None = None
    resumed: Callable[[], None] | None = None
    _stall: asyncio.TimerHandle | None = None

    def pause_writing(self) -> None:
        """Note that the socket is full."""
        super().pause_writing()
        if self.filled is not None:
            self.filled()
        else:
            self._watch()

    def resume_writing(self) -> None:
        """Go on after `pause_writing`."""
        super().resume_writing()
        self._unwatch()
        if self.resumed is not None:
            self.resumed()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop watching the socket."""
        self._unwatch()
        super().connection_lost(exc)

    def _watch(self) -> None:
        left = self.transport.get_write_buffer_size()
        self._stall = self.loop.call_later(STALL_SECONDS, self._look, left)

    def _look(self, before: int) -> None:
        """Cut the connection unless the client has taken something since."""
        if self.transport.get_write_buffer_size() < before:
            self._watch()
        else:
            self.transport.abort()

    def _unwatch(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None

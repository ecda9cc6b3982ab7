"""uvicorn's HTTP protocol, extended to write chunks that were made once for many responses."""

import asyncio
import socket
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from adapters.uvicorn.wire import CUT_SECONDS, WIRE, ResumingProtocol
from core.delivery.encodings.event_stream import END

GONE_SECONDS = 45
"""How long sent data may stay unacknowledged; a heartbeat is always under way before that."""


class HttpProtocol(ResumingProtocol, HttpToolsProtocol):
    """Writes whole chunks of a response as they are, and cuts off clients that take nothing.

    ASGI's `send` needs a task for each client, which waits for that client; and uvicorn waits for ever before
    it closes a full socket.
    """

    _ended = False
    _cut: asyncio.TimerHandle | None = None

    def on_message_begin(self) -> None:
        """Put the extension into the scope of the new request."""
        super().on_message_begin()
        extensions: dict[str, Any] = {WIRE: self}
        self.scope["extensions"] = extensions

    def write(self, data: bytes) -> bool:
        """Write a whole chunk of a started response. False: the socket is full, wait for `resumed`.

        Does nothing once the response has ended.
        """
        if not self._ended and not self.transport.is_closing():
            self.transport.write(data)
        return not self.flow.write_paused

    def close(self, code: int, reason: str) -> None:
        """End the response and the connection after what was written; HTTP has no place for the code."""
        del code, reason
        if self._ended or self.transport.is_closing():
            return
        self._ended = True
        self.transport.write(END)
        self.transport.close()
        self._cut = self.loop.call_later(CUT_SECONDS, self.transport.abort)

    def notice_silence(self) -> None:
        """Let the kernel, where it can, end the connection to a client that has vanished."""
        connection = self.transport.get_extra_info("socket")
        if connection is not None and hasattr(socket, "TCP_USER_TIMEOUT"):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, GONE_SECONDS * 1000)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the application, and cancel the cut-off."""
        if self._cut is not None:
            self._cut.cancel()
        super().connection_lost(exc)

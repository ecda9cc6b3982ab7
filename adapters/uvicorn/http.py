"""uvicorn's HTTP protocol, extended to write chunks that were made once, and bounded in what it waits for."""

import asyncio
import socket
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from adapters.uvicorn.wire import CUT_SECONDS, WIRE, ResumingProtocol
from core.delivery.encodings.event_stream import END

GONE_SECONDS = 45
"""How long sent data may stay unacknowledged; a heartbeat is always under way before that."""
HEAD_SECONDS = 15.0
"""How long a client may take for a request's head, from the connection or the last response on."""
HEAD_BYTES = 64 * 1024
"""How many bytes may come of a request that bring neither its head's end nor a part of its body."""
HEADERS = 128

_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-type: text/plain; charset=utf-8\r\ncontent-length: 25\r\nconnection: close\r\n\r\n"
    b"Request header too large."
)


class _TooManyHeaders(Exception):
    """A head has more than HEADERS lines: the parser turns this into its own error."""


class HttpProtocol(ResumingProtocol, HttpToolsProtocol):
    """Writes whole chunks of a response as they are, and cuts off clients that send or take nothing.

    ASGI's `send` needs a task for each client, which waits for that client; and uvicorn waits for ever for a
    request's head, takes one of any size, and waits for ever before it closes a full socket.
    """

    _ended = False
    _cut: asyncio.TimerHandle | None = None
    _overdue: asyncio.TimerHandle | None = None
    # Bytes since the parser last came to the end of a head or to a part of a body.
    _unparsed = 0
    _progressed = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Give the client some time for its first request."""
        super().connection_made(transport)
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        """Parse what came; refuse a head without an end."""
        self._progressed = False
        super().data_received(data)
        self._unparsed = 0 if self._progressed else self._unparsed + len(data)
        if self._unparsed > HEAD_BYTES:
            self._refuse_head()

    def on_message_begin(self) -> None:
        """Put the extension into the scope of the new request."""
        super().on_message_begin()
        extensions: dict[str, Any] = {WIRE: self}
        self.scope["extensions"] = extensions

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, or a trailer. Raises _TooManyHeaders."""
        if len(self.headers) >= HEADERS:
            self._refuse_head()
            raise _TooManyHeaders
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Note that the head is whole."""
        self._progressed = True
        self._head_came()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self._progressed = True
        super().on_body(body)

    def on_response_complete(self) -> None:
        """Give the client some time for its next request."""
        super().on_response_complete()
        if self.timeout_keep_alive_task is not None:
            self._expect_head()

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
        self._close_soon()

    def notice_silence(self) -> None:
        """Let the kernel, where it can, end the connection to a client that has vanished."""
        connection = self.transport.get_extra_info("socket")
        if connection is not None and hasattr(socket, "TCP_USER_TIMEOUT"):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, GONE_SECONDS * 1000)

    def timeout_keep_alive_handler(self) -> None:
        """End the connection to a client that asks for nothing more."""
        self._close_soon()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP, unless a better answer is under way."""
        if not self.transport.is_closing():
            super().send_400_response(msg)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the application, and cancel the timers."""
        if self._cut is not None:
            self._cut.cancel()
        self._head_came()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over; from here on it is the WebSocket's."""
        self._head_came()
        super().handle_websocket_upgrade()

    def _expect_head(self) -> None:
        self._head_came()
        self._overdue = self.loop.call_later(HEAD_SECONDS, self._close_soon)

    def _head_came(self) -> None:
        if self._overdue is not None:
            self._overdue.cancel()
            self._overdue = None

    def _refuse_head(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(_TOO_LARGE)
            self._close_soon()

    def _close_soon(self) -> None:
        """Close the connection after what was written, for which the client may take some time."""
        self.transport.close()
        if self._cut is None:
            self._cut = self.loop.call_later(CUT_SECONDS, self.transport.abort)

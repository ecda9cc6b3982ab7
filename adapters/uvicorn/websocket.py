"""uvicorn's WebSocket protocol, extended to write frames that were made once for many sockets."""

from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode, Frame

from adapters.uvicorn.wire import CUT_SECONDS, WIRE, ResumingProtocol

FRAGMENTS = 256
"""How many frames one message may come in: empty ones would not count against its bytes."""


class StreamProtocol(ResumingProtocol, WebSocketsSansIOProtocol):
    """Writes whole frames as they are, and closes sockets whose client takes nothing.

    ASGI's `send` frames each message anew and copies it four times, which is half of a delivery's cost; and
    uvicorn waits for ever before it closes a full socket.
    """

    _took_at = 0.0
    # The answer to the newest ping, for a client that does not read the answers (RFC 6455 §5.5.3).
    _pong = b""

    async def run_asgi(self) -> None:
        """Run the application, with the extension in its scope."""
        extensions: dict[str, Any] = self.scope["extensions"]
        extensions[WIRE] = self
        await super().run_asgi()

    def write(self, frame: bytes) -> bool:
        """Write a whole, final frame. False: the socket is full, wait for `resumed`.

        Does nothing on a socket that is being closed.
        """
        if not self.transport.is_closing() and not self.close_sent:
            self.transport.write(frame)
        return self.writable.is_set()

    def close(self, code: int, reason: str) -> None:
        """Close the socket after what was written; cut off a client that does not answer in time."""
        if self.close_sent or self.transport.is_closing():
            return
        self.stop_keepalive()
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.conn.send_close(code, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        self._cut_later()

    def handle_ping(self) -> None:
        """Answer a ping; while the socket is full, keep the answer to the newest one only."""
        # The first of the pings that came together brings the answers to all of them.
        pong = b"".join(self.conn.data_to_send())
        if self.writable.is_set():
            self.transport.write(pong)
        elif pong:
            self._pong = pong

    def handle_cont(self, event: Frame) -> None:
        """Take a further frame of a message, or refuse a message of too many."""
        if len(self.frames) >= FRAGMENTS:
            self.conn.fail(CloseCode.MESSAGE_TOO_BIG, "too many frames")
            self.handle_parser_exception()
        else:
            super().handle_cont(event)

    def resume_writing(self) -> None:
        """Go on after `pause_writing`."""
        self._took_at = self.loop.time()
        pong, self._pong = self._pong, b""
        if pong and not self.close_sent:
            self.transport.write(pong)
        super().resume_writing()

    def keepalive_timeout(self) -> None:
        """Close the connection to a client that does not answer a ping.

        A slow client may not have got the ping yet, behind the data sent before it. So leave that client to
        the driver, which sees whether it takes anything.
        """
        if not self.writable.is_set() or self._took_at > self.ping_sent_at:
            self.stop_keepalive()
            self.schedule_ping()
            return
        super().keepalive_timeout()
        if self.close_timer is None:
            self._cut_later()

    def _cut_later(self) -> None:
        self.close_timer = self.loop.call_later(CUT_SECONDS, self.transport.abort)

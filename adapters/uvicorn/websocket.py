"""uvicorn's WebSocket protocol, extended to write frames that were made once for many sockets."""

from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from adapters.uvicorn.wire import CUT_SECONDS, WIRE, ResumingProtocol


class StreamProtocol(ResumingProtocol, WebSocketsSansIOProtocol):
    """Writes whole frames as they are, and closes sockets whose client takes nothing.

    ASGI's `send` frames each message anew and copies it four times, which is half of a delivery's cost; and
    uvicorn waits for ever before it closes a full socket.
    """

    _took_at = 0.0

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

    def resume_writing(self) -> None:
        """Go on after `pause_writing`."""
        self._took_at = self.loop.time()
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

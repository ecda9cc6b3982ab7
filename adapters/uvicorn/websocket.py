"""uvicorn's WebSocket protocol, extended to write frames that were made once for many sockets."""

from typing import Any

from uvicorn._types import ASGIReceiveEvent
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode, Frame

from adapters.uvicorn.wire import CUT_SECONDS, WIRE, ResumingProtocol
from core.rates import TokenBucket

FRAGMENTS = 256
"""How many frames one message may come in: empty ones would not count against its bytes."""

SLICE_BYTES = 2 * 1024
"""How much of what came is parsed before others have a turn: 340 of the smallest frames, about 5 ms."""
CONTROLS_PER_SECOND = 10.0
CONTROLS_AT_ONCE = 50
"""How many pings and unasked pongs a client may send at once; an honest one sends one in some seconds."""
LATE_BYTES = 256 * 1024
"""How much a client may send after it was told that the session is over."""


class StreamProtocol(ResumingProtocol, WebSocketsSansIOProtocol):
    """Writes whole frames as they are, and closes sockets whose client takes nothing or sends without end.

    ASGI's `send` frames each message anew and copies it four times, which is half of a delivery's cost; and
    uvicorn waits for ever before it closes a full socket, and parses all that came in one go.
    """

    _took_at = 0.0
    # The answer to the newest ping, for a client that does not read the answers (RFC 6455 §5.5.3).
    _pong = b""
    # What came and is not parsed yet; nothing more is read meanwhile.
    _unparsed = b""
    _late = 0
    _controls: TokenBucket | None = None

    def data_received(self, data: bytes) -> None:
        """Parse what came, a little at a time."""
        waiting = bool(self._unparsed)
        self._unparsed += data
        if not waiting:
            self._parse()

    async def receive(self) -> ASGIReceiveEvent:
        """Return what comes next; read on once nothing waits."""
        message = await self.queue.get()
        if self.read_paused and self.queue.empty():
            self.read_paused = False
            self._read_on()
        return message

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
            self._read_on()
        self._cut_later()

    def handle_ping(self) -> None:
        """Answer a ping; while the socket is full, keep the answer to the newest one only."""
        if not self._allowed():
            return
        # The first of the pings that came together brings the answers to all of them.
        pong = b"".join(self.conn.data_to_send())
        if self.writable.is_set():
            self.transport.write(pong)
        elif pong:
            self._pong = pong

    def handle_cont(self, event: Frame) -> None:
        """Take a further frame of a message, or refuse a message of too many."""
        if len(self.frames) < FRAGMENTS:
            super().handle_cont(event)
        elif not self.close_sent:
            self._refuse(CloseCode.MESSAGE_TOO_BIG, "too many frames")

    def handle_pong(self, event: Frame) -> None:
        """Take the answer to a ping, or one that nobody asked for."""
        if event.data == self.pending_ping_payload or self._allowed():
            super().handle_pong(event)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget what was not parsed."""
        self._unparsed = b""
        super().connection_lost(exc)

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

    def _parse(self) -> None:
        """Parse a slice of what came, and the next one after others had a turn."""
        piece, self._unparsed = self._unparsed[:SLICE_BYTES], self._unparsed[SLICE_BYTES:]
        if self.close_sent:
            self._late += len(piece)
            if self._late > LATE_BYTES:
                self._unparsed = b""
                self.transport.abort()
                return
        super().data_received(piece)
        if self.transport.is_closing():
            self._unparsed = b""
        elif self._unparsed:
            self.transport.pause_reading()
            self.loop.call_soon(self._parse)
        elif not self.read_paused:
            self._read_on()

    def _read_on(self) -> None:
        """Read again, unless something is still to be parsed."""
        if not self._unparsed:
            self.transport.resume_reading()

    def _allowed(self) -> bool:
        """Count a control frame; refuse the client that sends too many."""
        now = self.loop.time()
        if self._controls is None:
            self._controls = TokenBucket(CONTROLS_PER_SECOND, CONTROLS_AT_ONCE, now)
        if self.close_sent or self._controls.take(1.0, now) == 0:
            return not self.close_sent
        self._refuse(CloseCode.POLICY_VIOLATION, "too many control frames")
        return False

    def _refuse(self, code: CloseCode, reason: str) -> None:
        """End the session of a client that breaks the rules of the protocol."""
        # What this slice has to be answered with would come before the close.
        self.conn.data_to_send()
        self.conn.fail(code, reason)
        self.handle_parser_exception()
        self._cut_later()

    def _cut_later(self) -> None:
        self.close_timer = self.loop.call_later(CUT_SECONDS, self.transport.abort)

"""Connects to the process that appends for all, and forwards events to it."""

import asyncio
from typing import cast

import msgspec

from adapters.peers.framing import FRAME_BYTES, Framed
from adapters.peers.proof import GREETING, NONCE_BYTES, Exchange, nonce, same
from core.coordination.ports import Holder
from core.errors import BadMessage, InvalidInput, Unavailable
from core.log.forwarding import Answer, Forward, Forwarder

CONNECT_SECONDS = 2.0
"""How long connecting may take, with the proof of both sides."""
SILENCE_SECONDS = 1.5
"""How long the process that appends may be silent; it sends a heartbeat five times as often."""

_answers = msgspec.msgpack.Decoder(Answer)
_forwards = msgspec.msgpack.Encoder()


async def connect(key: bytes, holder: Holder) -> "AppenderConnection":
    """Connect, and prove to each other by the log's key who is who. Raises Unavailable."""
    host, _, port = holder.address.rpartition(":")
    peer = AppenderConnection(key, holder.name)
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            await asyncio.get_running_loop().create_connection(lambda: peer, host, int(port))
            await peer.proved()
    except (OSError, ValueError, OverflowError) as error:
        peer.abort()
        reason = "no answer in time" if isinstance(error, TimeoutError) else str(error)
        raise Unavailable(f"{holder.name} at {holder.address}: {reason}") from error
    except BaseException:
        peer.abort()
        raise
    return peer


class AppenderConnection(Framed):
    """The connection to the process that appends."""

    def __init__(self, key: bytes, holder: str) -> None:
        super().__init__()
        loop = asyncio.get_running_loop()
        self._loop = loop
        self._key = key
        self._holder = holder
        self._asked = nonce()
        self._proved: asyncio.Future[None] = loop.create_future()
        self._closed: asyncio.Future[None] = loop.create_future()
        self._heard = loop.time()
        self._watching: asyncio.TimerHandle | None = None
        self.forwarder = Forwarder(self._forward, loop.time)

    async def proved(self) -> None:
        """Wait until both sides have proved that they know the key. Raises ConnectionError: one has not."""
        await self._proved

    async def closed(self) -> None:
        """Wait until the connection is gone."""
        await asyncio.shield(self._closed)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet."""
        super().connection_made(transport)
        self.send(GREETING + self._asked)

    def received(self, frame: bytes) -> None:
        """Take the proof, then answers and heartbeats."""
        self._heard = self._loop.time()
        if not self._proved.done():
            self._check(frame)
        elif frame:
            self._answered(frame)

    def lost(self) -> None:
        """Tell those who wait."""
        if self._watching is not None:
            self._watching.cancel()
        if not self._proved.done():
            self._proved.set_exception(ConnectionError("it closed the connection"))
            # Nobody may be waiting any more.
            self._proved.exception()
        if not self._closed.done():
            self._closed.set_result(None)

    def _check(self, frame: bytes) -> None:
        exchange = Exchange(self._key, self._holder, self._asked, frame[:NONCE_BYTES])
        if not same(frame[NONCE_BYTES:], exchange.of_holder):
            self._proved.set_exception(ConnectionError("it is another process, or of another log"))
            self.abort()
            return
        self.send(exchange.of_peer)
        self.trust()
        self._proved.set_result(None)
        self._watch()

    def _answered(self, frame: bytes) -> None:
        try:
            self.forwarder.take(cast("Answer", _answers.decode(frame)))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, BadMessage):
            self.abort()

    def _forward(self, forward: Forward) -> None:
        try:
            frame = _forwards.encode(forward)
        except (UnicodeError, OverflowError, RecursionError) as error:
            raise InvalidInput(f"the event cannot be encoded: {error}") from error
        if len(frame) > FRAME_BYTES:
            raise InvalidInput(f"the event takes more than {FRAME_BYTES >> 20} MiB")
        self.send(frame)

    def _watch(self) -> None:
        silent = self._loop.time() - self._heard
        if silent >= SILENCE_SECONDS:
            self.abort()
            return
        self._watching = self._loop.call_later(SILENCE_SECONDS - silent, self._watch)

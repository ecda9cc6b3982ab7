"""Listens for the processes that forward their events to this one."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import msgspec

from adapters.peers.framing import Framed
from adapters.peers.proof import GREETING, NONCE_BYTES, Exchange, nonce, same
from core.errors import StartupRefused
from core.log.forwarding import Answer, Forward

logger = logging.getLogger("tocsin.peers")

CONNECTIONS = 256
PROOF_SECONDS = 5.0
"""How long a connection may take until it has proved itself."""
HEARTBEAT_SECONDS = 0.3
"""How often each peer hears from this process, so that silence tells of one that hangs."""

Accept = Callable[[Forward, Callable[[Answer], None]], None]

_forwards = msgspec.msgpack.Decoder(Forward)
_answers = msgspec.msgpack.Encoder()


class PeerServer:
    """Hands what peers forward to `accept`, and sends its answers back.

    `holder`: this process's name. `key`: the log's, see adapters.peers.proof.
    """

    def __init__(self, key: bytes, holder: str, accept: Accept) -> None:
        self._key = key
        self._holder = holder
        self._accept = accept
        self._connections: set[_Connection] = set()

    @asynccontextmanager
    async def listening(self, host: str, port: int) -> AsyncIterator[str]:
        """Listen while the context lasts; give the address, `host:port`. Port 0: any.

        Raises:
            StartupRefused: the address cannot be listened on.
        """
        loop = asyncio.get_running_loop()
        try:
            server = await loop.create_server(self._connected, host, port)
        except OSError as error:
            raise StartupRefused(f"cannot listen for peers on {host}:{port}: {error.strerror}") from error
        beating = asyncio.create_task(self._beat())
        try:
            yield f"{host}:{server.sockets[0].getsockname()[1]}"
        finally:
            beating.cancel()
            server.close()
            self.disconnect()
            with contextlib.suppress(asyncio.CancelledError):
                await beating

    def disconnect(self) -> None:
        """End all connections: each peer then looks for the process that appends."""
        for connection in list(self._connections):
            connection.abort()

    def _connected(self) -> "_Connection":
        return _Connection(self._key, self._holder, self._accept, self._connections)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            for connection in list(self._connections):
                try:
                    connection.beat()
                except Exception:
                    # The others must go on hearing from this process.
                    logger.exception("a peer gets no heartbeat, and its connection ends")
                    connection.abort()


class _Connection(Framed):
    """One peer: its greeting, its proof, then what it forwards."""

    def __init__(self, key: bytes, holder: str, accept: Accept, connections: "set[_Connection]") -> None:
        super().__init__()
        self._key = key
        self._holder = holder
        self._accept = accept
        self._connections = connections
        self._exchange: Exchange | None = None
        self._proved = False
        self._expiry: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._connections.add(self)
        if len(self._connections) > CONNECTIONS:
            self.abort()
            return
        self._expiry = asyncio.get_running_loop().call_later(PROOF_SECONDS, self._expire)

    def received(self, frame: bytes) -> None:
        if self._proved:
            self._forwarded(frame)
        elif self._exchange is None:
            self._greeted(frame)
        elif same(frame, self._exchange.of_peer):
            self._proved = True
        else:
            self.abort()

    def lost(self) -> None:
        self._connections.discard(self)
        if self._expiry is not None:
            self._expiry.cancel()

    def beat(self) -> None:
        """Send an empty frame."""
        if self._proved:
            self.send(b"")

    def _greeted(self, frame: bytes) -> None:
        asked = frame.removeprefix(GREETING)
        if len(asked) != NONCE_BYTES or len(frame) != len(GREETING) + NONCE_BYTES:
            self.abort()
            return
        self._exchange = Exchange(self._key, self._holder, asked, nonce())
        self.send(self._exchange.answered + self._exchange.of_holder)

    def _forwarded(self, frame: bytes) -> None:
        try:
            forward = _forwards.decode(frame)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self.abort()
            return
        self._accept(forward, self._answer)

    def _answer(self, answer: Answer) -> None:
        self.send(_answers.encode(answer))

    def _expire(self) -> None:
        if not self._proved:
            self.abort()

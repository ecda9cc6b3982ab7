"""Listens for the processes that forward their events to this one."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from adapters.peers.framing import FRAME_BYTES, Framed
from adapters.peers.proof import GREETING, NONCE_BYTES, Exchange, nonce, same
from core.errors import BadMessage, StartupRefused
from core.log.forwarding import Answer, Forward, Incoming, Submit, Unclear

logger = logging.getLogger("tocsin.peers")

CONNECTIONS = 256
"""How many peers may forward to this process."""
UNPROVED = 64
"""How many connections may be about to prove themselves; one more ends the oldest of them."""
PROOF_SECONDS = 5.0
"""How long a connection may take until it has proved itself."""
HEARTBEAT_SECONDS = 0.3
"""How often each peer hears from this process, so that silence tells of one that hangs."""

_forwards = msgspec.msgpack.Decoder(Forward)
_answers = msgspec.msgpack.Encoder()


class PeerServer:
    """Hands what peers forward to `submit`, and sends them what became of it, while it admits them.

    `holder`: this process's name. `key`: the log's, see adapters.peers.proof.
    """

    def __init__(self, key: bytes, holder: str, submit: Submit) -> None:
        self.key = key
        self.holder = holder
        self.submit = submit
        self.admitting = False
        """Whether this process appends for all, so that peers may connect."""
        # In order of arrival.
        self._unproved: dict[_Connection, None] = {}
        self._peers: set[_Connection] = set()

    @asynccontextmanager
    async def listening(self, host: str, port: int) -> AsyncIterator[str]:
        """Listen while the context lasts; give the address, `host:port`. Port 0: any.

        Raises:
            StartupRefused: the address cannot be listened on.
        """
        loop = asyncio.get_running_loop()
        try:
            server = await loop.create_server(lambda: _Connection(self), host, port)
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

    def admit(self) -> None:
        """Let peers forward to this process from now on."""
        self.admitting = True

    def disconnect(self) -> None:
        """End all connections, and let nobody forward until `admit`: peers then look for who appends."""
        self.admitting = False
        for connection in [*self._unproved, *self._peers]:
            connection.abort()

    def arrived(self, connection: "_Connection") -> None:
        """Note a connection that has proved nothing yet: many of those must not keep peers out."""
        self._unproved[connection] = None
        if len(self._unproved) > UNPROVED:
            oldest = next(iter(self._unproved))
            del self._unproved[oldest]
            oldest.abort()

    def proved(self, connection: "_Connection") -> bool:
        """Note that it is a peer's; return False if there are too many."""
        self._unproved.pop(connection, None)
        self._peers.add(connection)
        return len(self._peers) <= CONNECTIONS

    def left(self, connection: "_Connection") -> None:
        """Note that the connection is gone."""
        self._unproved.pop(connection, None)
        self._peers.discard(connection)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            for connection in list(self._peers):
                try:
                    connection.send(b"")
                except Exception:
                    # The others must go on hearing from this process.
                    logger.exception("a peer gets no heartbeat, and its connection ends")
                    connection.abort()


class _Connection(Framed):
    """One peer: its greeting, its proof, then what it forwards."""

    def __init__(self, server: PeerServer) -> None:
        super().__init__()
        self._server = server
        self._incoming: Incoming | None = None
        self._exchange: Exchange | None = None
        self._expiry: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._expiry = asyncio.get_running_loop().call_later(PROOF_SECONDS, self._expire)
        self._server.arrived(self)

    def received(self, frame: bytes) -> None:
        if self._incoming is not None:
            self._forwarded(self._incoming, frame)
        elif self._exchange is None:
            self._greeted(frame)
        elif same(frame, self._exchange.of_peer) and self._server.proved(self):
            self.trust()
            now = asyncio.get_running_loop().time
            self._incoming = Incoming(self._server.submit, self._answer, now)
        else:
            self.abort()

    def lost(self) -> None:
        self._server.left(self)
        if self._expiry is not None:
            self._expiry.cancel()
        if self._incoming is not None:
            self._incoming.lost()

    def _greeted(self, frame: bytes) -> None:
        asked = frame.removeprefix(GREETING)
        greeted = len(asked) == NONCE_BYTES and len(frame) == len(GREETING) + NONCE_BYTES
        if not greeted or not self._server.admitting:
            self.abort()
            return
        self._exchange = Exchange(self._server.key, self._server.holder, asked, nonce())
        self.send(self._exchange.answered + self._exchange.of_holder)

    def _forwarded(self, incoming: Incoming, frame: bytes) -> None:
        try:
            incoming.take(_forwards.decode(frame))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, BadMessage):
            self.abort()

    def _answer(self, answer: Answer) -> None:
        frame = _answers.encode(answer)
        if len(frame) > FRAME_BYTES:
            frame = _answers.encode(Unclear(answer.number, "the answer is too large"))
        self.send(frame)

    def _expire(self) -> None:
        if self._incoming is None:
            self.abort()

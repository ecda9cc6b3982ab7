"""One socket to a server: opened, greeted, kept authenticated, and why it came to an end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import get_args

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidURI, WebSocketException
from websockets.typing import Subprotocol

from core.delivery.protocol import (
    BAD_MESSAGE,
    DUPLICATE_ID,
    FORBIDDEN,
    UNAUTHENTICATED,
    Auth,
    ClientMessage,
    Hello,
    ServerMessage,
)
from entrypoints.client.errors import ConnectionLost, StreamEnded, TokenUnavailable
from entrypoints.client.token import ClientToken

PROTOCOL = Subprotocol("tocsin.v1.msgpack")
MESSAGE_BYTES = 16 * 1024 * 1024
"""The largest message taken from a server; its frames have about 256 KiB."""
HELLO_SECONDS = 15.0
QUIET_SECONDS = 20.0
"""How often the server is pinged, and how long it may take to answer."""
CLOSE_SECONDS = 1.0

FINAL_CODES = frozenset({BAD_MESSAGE, FORBIDDEN, DUPLICATE_ID})
KNOWN = frozenset(kind.__struct_config__.tag for kind in get_args(ServerMessage))


class _Operation(msgspec.Struct):
    op: str


class StreamConnection:
    """Messages to and from a server."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._encode = msgspec.msgpack.Encoder().encode
        self._decoder: msgspec.msgpack.Decoder[ServerMessage] = msgspec.msgpack.Decoder(ServerMessage)

    async def send(self, message: ClientMessage) -> None:
        """Send a message; on a connection that is lost it does nothing: `receive` tells of that."""
        with suppress(ConnectionClosed):
            await self._socket.send(self._encode(message))

    async def receive(self) -> ServerMessage:
        """Return the next message that this version knows.

        Raises:
            StreamEnded: it is one of this version's, but can't be read.
        """
        while True:
            data = await self._socket.recv(decode=False)
            try:
                return self._decoder.decode(data)
            except msgspec.ValidationError as error:
                if msgspec.msgpack.decode(data, type=_Operation).op in KNOWN:
                    raise StreamEnded(f"the server speaks another version: {error}") from None


@asynccontextmanager
async def connected(url: str, tokens: ClientToken | None) -> AsyncIterator[tuple[StreamConnection, Hello]]:
    """Give a connection that was greeted, and the greeting; its token is renewed by itself.

    Raises:
        ConnectionLost: it can't be had, or was lost while in use.
        StreamEnded: coming back would change nothing.
    """
    try:
        token = None if tokens is None else await tokens.get()
        async with connect(
            url,
            subprotocols=[PROTOCOL],
            compression=None,
            max_size=MESSAGE_BYTES,
            ping_interval=QUIET_SECONDS,
            ping_timeout=QUIET_SECONDS,
            open_timeout=HELLO_SECONDS,
            close_timeout=CLOSE_SECONDS,
        ) as socket:
            connection = StreamConnection(socket)
            async with _authenticated(connection, tokens, token) as hello:
                yield connection, hello
    except ConnectionClosed as closed:
        raise _judged(url, closed, tokens) from None
    except InvalidURI as error:
        raise StreamEnded(str(error)) from None
    except (OSError, TimeoutError, WebSocketException, TokenUnavailable) as error:
        raise ConnectionLost(f"{url}: {error!r}") from error


@asynccontextmanager
async def _authenticated(
    connection: StreamConnection, tokens: ClientToken | None, token: str | None
) -> AsyncIterator[Hello]:
    if tokens is None or token is None:
        yield await _hello(connection)
        return
    await connection.send(Auth(token=token))
    hello = await _hello(connection)
    tokens.refused = False
    renewing = asyncio.create_task(tokens.renew(token, lambda new: connection.send(Auth(token=new))))
    try:
        yield hello
    finally:
        renewing.cancel()


async def _hello(connection: StreamConnection) -> Hello:
    async with asyncio.timeout(HELLO_SECONDS):
        while True:
            message = await connection.receive()
            if isinstance(message, Hello):
                return message


def _judged(url: str, closed: ConnectionClosed, tokens: ClientToken | None) -> ConnectionLost | StreamEnded:
    code, reason = (1006, "") if closed.rcvd is None else (closed.rcvd.code, closed.rcvd.reason)
    if code in FINAL_CODES or (code == UNAUTHENTICATED and tokens is None):
        return StreamEnded(f"the server closed the connection: {code} {reason}")
    if code == UNAUTHENTICATED and tokens is not None:
        tokens.refused = True
    return ConnectionLost(f"{url}: {code} {reason}".rstrip())

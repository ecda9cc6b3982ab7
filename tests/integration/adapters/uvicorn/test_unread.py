"""Clients that send nothing, send without end, or read nothing, at raw sockets."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from adapters.uvicorn import http, wire
from adapters.uvicorn.http import HEAD_BYTES, HEADERS, HttpProtocol
from adapters.uvicorn.websocket import CONTROLS_AT_ONCE, FRAGMENTS, StreamProtocol
from tests.kit.streams import streaming
from tests.kit.waiting import eventually

SECONDS = 20.0
SOON = 0.3
BODY = b"x" * 64 * 1024
GET = b"GET / HTTP/1.1\r\nHost: x\r\n"
HANDSHAKE = (
    b"GET /v1/stream HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
MASK = b"\0\0\0\0"


@asynccontextmanager
async def serving(app: ASGIApp) -> AsyncIterator[tuple[str, int]]:
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16 * 1024)
    config = uvicorn.Config(app, http=HttpProtocol, ws=StreamProtocol, lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield listener.getsockname()
    finally:
        server.should_exit = True
        await task


class Endless:
    """Sends a body without end, as fast as it is taken."""

    def __init__(self) -> None:
        self.sent = 0
        self.ended = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gone = asyncio.create_task(self._gone(receive))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while not gone.done():
            await send({"type": "http.response.body", "body": BODY, "more_body": True})
            self.sent += len(BODY)
            await asyncio.sleep(0)
        self.ended.set()

    async def _gone(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass


async def small(_: Scope, __: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


def deaf(address: tuple[str, int], said: bytes) -> socket.socket:
    """Connect, say something, and never read."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    client.connect(address)
    client.sendall(said)
    return client


async def test_a_response_that_nobody_reads_ends_and_is_not_buffered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "STALL_SECONDS", SOON)
    app = Endless()
    async with serving(app) as address:
        client = deaf(address, GET + b"\r\n")
        await asyncio.wait_for(app.ended.wait(), SECONDS)
        assert app.sent < 1024 * 1024
        client.close()


async def test_a_response_that_is_read_slowly_does_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "STALL_SECONDS", SOON)
    app = Endless()
    async with serving(app) as address:
        reader, writer = await asyncio.open_connection(*address, limit=1_024)
        writer.write(GET + b"\r\n")
        began = asyncio.get_running_loop().time()
        while asyncio.get_running_loop().time() < began + 4 * SOON:
            assert await asyncio.wait_for(reader.read(256), SECONDS)
        assert not app.ended.is_set()
        writer.close()
        await asyncio.wait_for(app.ended.wait(), SECONDS)


async def read(address: tuple[str, int], said: bytes) -> bytes:
    """Say something, and return what comes until the server closes the connection."""
    reader, writer = await asyncio.open_connection(*address)
    writer.write(said)
    try:
        return await asyncio.wait_for(reader.read(), SECONDS)
    except ConnectionResetError:
        return b"reset"
    finally:
        writer.close()


@pytest.mark.parametrize("said", [b"", b"GET /", GET, GET + b"a: b", b"\r\n"])
async def test_a_client_that_sends_no_whole_head_is_not_waited_for(
    said: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "HEAD_SECONDS", SOON)
    async with serving(small) as address:
        assert await read(address, said) == b""
        # Nor after a request that was answered.
        assert (await read(address, GET + b"\r\n" + said)).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "said",
    [
        GET + b"a: " + b"b" * (HEAD_BYTES + 1),
        b"GET /" + b"x" * (HEAD_BYTES + 1),
        GET + b"a: b\r\n" * (HEADERS + 1),
    ],
)
async def test_a_head_without_an_end_is_refused(said: bytes) -> None:
    async with serving(small) as address:
        assert (await read(address, said)).startswith(b"HTTP/1.1 431 ")


async def test_trailers_without_an_end_are_refused() -> None:
    chunked = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
    async with serving(reading) as address:
        assert (await read(address, chunked + b"a: b\r\n" * (HEADERS + 1))).startswith(b"HTTP/1.1 431 ")


async def reading(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer once the whole body has come."""
    while (message := await receive())["type"] == "http.request" and message["more_body"]:
        pass
    await small(scope, receive, send)


async def test_a_large_head_and_a_large_body_are_taken() -> None:
    said = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1000000\r\n"
    head = b"".join(b"h%d: %s\r\n" % (number, b"v" * 400) for number in range(100))
    async with serving(reading) as address:
        assert (await read(address, said + head + b"\r\n" + b"x" * 1_000_000)).startswith(b"HTTP/1.1 200")


def frame(opcode: int, payload: bytes = b"") -> bytes:
    """Return a client's whole frame; the opcode may lack the final bit."""
    return bytes([opcode, 0x80 | len(payload)]) + MASK + payload


async def test_pings_whose_answers_nobody_reads_are_bounded() -> None:
    buffered: Callable[[Any], int] = lambda wire: wire.transport.get_write_buffer_size() + len(wire._pong)  # noqa: E731
    async with streaming() as streams:
        client = deaf(streams.address, HANDSHAKE)
        client.setblocking(False)
        await eventually("it is connected", lambda: streams.driver.sessions == 1, SECONDS)
        (session,) = streams.driver._delivery.sessions
        loop, most = asyncio.get_running_loop(), 0
        pings = frame(0x89, b"p" * 125) * 2_000
        with suppress(ConnectionError):
            while streams.driver.sessions:
                await asyncio.wait_for(loop.sock_sendall(client, pings), SECONDS)
                most = max(most, buffered(session.peer.wire))
        # Hardly more is kept than the answers to the pings that a client may send at once.
        assert most < 64 * 1024
        await eventually("the client is cut off", lambda: streams.driver.sessions == 0, SECONDS)
        client.close()


@asynccontextmanager
async def connected(
    address: tuple[str, int],
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Connect, and read the server's half of the handshake."""
    reader, writer = await asyncio.open_connection(*address)
    writer.write(HANDSHAKE)
    async with asyncio.timeout(SECONDS):
        await reader.readuntil(b"\r\n\r\n")
    yield reader, writer
    writer.close()


async def test_a_message_of_endlessly_many_frames_is_refused() -> None:
    async with streaming() as streams, connected(streams.address) as (reader, writer):
        writer.write(frame(0x01) + frame(0x00) * FRAGMENTS)
        assert (await asyncio.wait_for(reader.read(), SECONDS)).endswith(b"\x03\xf1too many frames")


async def test_a_message_of_some_frames_is_taken() -> None:
    async with streaming() as streams:
        message = b'{"op":"unsubscribe","id":"a"}'
        parts = [frame(0x01, message[:5]), *(frame(0x00, bytes([each])) for each in message[5:]), frame(0x80)]
        async with connected(streams.address) as (reader, writer):
            writer.write(b"".join(parts))
            async with asyncio.timeout(SECONDS):
                assert await reader.readuntil(b"unknown_subscription")


@pytest.mark.parametrize("opcode", [0x89, 0x8A])
async def test_who_sends_too_many_control_frames_is_sent_away(opcode: int) -> None:
    async with streaming() as streams, connected(streams.address) as (reader, writer):
        writer.write(frame(opcode) * (CONTROLS_AT_ONCE + 1))
        heard = await asyncio.wait_for(reader.read(), SECONDS)
        assert heard.endswith(b"\x03\xf0too many control frames")
        await eventually("the session is over", lambda: streams.driver.sessions == 0, SECONDS)


async def test_some_pings_and_unasked_pongs_are_taken() -> None:
    async with streaming() as streams, connected(streams.address) as (reader, writer):
        writer.write((frame(0x89, b"a") + frame(0x8A, b"b")) * (CONTROLS_AT_ONCE // 2 - 1))
        writer.write(frame(0x89, b"last"))
        async with asyncio.timeout(SECONDS):
            assert await reader.readuntil(b"\x8a\x04last")
        assert streams.driver.sessions == 1


@pytest.mark.parametrize("flood", [frame(0x81) * 40_000, frame(0x01) + frame(0x00) * 40_000])
async def test_a_flood_of_small_frames_lets_others_have_their_turns(flood: bytes) -> None:
    async with streaming() as streams, connected(streams.address) as (reader, writer):
        loop = asyncio.get_running_loop()
        reading = asyncio.ensure_future(reader.read())
        writer.write(flood)
        longest, before = 0.0, loop.time()
        while not reading.done():
            await asyncio.sleep(0)
            longest, before = max(longest, loop.time() - before), loop.time()
        with suppress(ConnectionError):
            await reading
        # All of it in one go takes ten times as long.
        assert longest < 0.1


async def test_a_large_message_is_taken_in_slices() -> None:
    async with streaming() as streams, connected(streams.address) as (reader, writer):
        message = b'{"op":"unsubscribe","id":"a"}'.ljust(60_000)
        writer.write(b"\x81\xfe" + len(message).to_bytes(2, "big") + MASK + message)
        writer.write(frame(0x81, b'{"op":"unsubscribe","id":"b"}'))
        async with asyncio.timeout(SECONDS):
            heard = await reader.readuntil(b'"id":"a"') + await reader.readuntil(b'"id":"b"')
        assert heard.count(b"error") == 2

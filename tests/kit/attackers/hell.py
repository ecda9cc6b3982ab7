"""The receiver from hell: a webhook's receiver that answers in every way that an HTTP client may hate."""

import asyncio
import gzip
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import cache

from tests.kit.tcp import listening

BOMB_BYTES = 64 * 1024 * 1024
DRIP_SECONDS = 0.2
FLOOD_SECONDS = 0.02
FILLER = b"x" * 8_000

Torment = Callable[[asyncio.StreamWriter], Awaitable[None]]


class Hell:
    """Where it is, and how often each torment was asked for."""

    def __init__(self) -> None:
        self.port = 0
        self.asked: Counter[str] = Counter()

    @property
    def urls(self) -> dict[str, str]:
        """The address of each torment, by its name."""
        return {name: f"http://127.0.0.1:{self.port}/{name}" for name in TORMENTS}

    @property
    def complete(self) -> bool:
        """Whether every torment was asked for."""
        return self.asked.keys() == TORMENTS.keys()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read one request's head and torment whoever sent it."""
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            head = await reader.readuntil(b"\r\n\r\n")
            name = head.split()[1].decode().removeprefix("/")
            self.asked[name] += 1
            await TORMENTS[name](writer)
            await writer.drain()
            writer.close()
            await writer.wait_closed()
        # What was left in the middle has data that nobody takes any more.
        writer.transport.abort()


@asynccontextmanager
async def receiving_from_hell() -> AsyncIterator[Hell]:
    """Run it for as long as the context lasts."""
    hell = Hell()
    async with listening(hell.serve) as hell.port:
        yield hell


async def _absurd_retry_after(writer: asyncio.StreamWriter) -> None:
    writer.write(_answer("503 Later", f"Retry-After: {'9' * 400}"))


async def _retry_after_before_time(writer: asyncio.StreamWriter) -> None:
    writer.write(_answer("429 Later", "Retry-After: Mon, 01 Jan 0001 00:00:00 -9999"))


async def _endless_headers(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    await _repeat(writer, b"X-Filler: " + FILLER + b"\r\n", FLOOD_SECONDS)


async def _endless_interim_answers(writer: asyncio.StreamWriter) -> None:
    await _repeat(writer, b"HTTP/1.1 103 Early Hints\r\n\r\n" * 50, FLOOD_SECONDS)


async def _flooding_body(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    await _repeat(writer, b"1f40\r\n" + FILLER + b"\r\n", FLOOD_SECONDS)


async def _dripping_body(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n")
    await _repeat(writer, b"1\r\nx\r\n", DRIP_SECONDS)


async def _half_a_status_line(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 20")
    await writer.drain()
    await asyncio.Event().wait()


async def _gzip_bomb(writer: asyncio.StreamWriter) -> None:
    bomb = _bomb()
    head = f"HTTP/1.1 500 No\r\nContent-Encoding: gzip\r\nContent-Length: {len(bomb)}\r\n\r\n"
    writer.write(head.encode() + bomb)


async def _redirect_loop(writer: asyncio.StreamWriter) -> None:
    writer.write(_answer("307 Again", "Location: /redirect_loop"))


async def _body_longer_than_said(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n" + FILLER)


async def _negative_length(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n")


async def _closed_in_the_middle(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 500 No\r\nContent-Length: 1000\r\n\r\nhalf")


TORMENTS: dict[str, Torment] = {
    each.__name__.removeprefix("_"): each
    for each in (
        _absurd_retry_after,
        _retry_after_before_time,
        _endless_headers,
        _endless_interim_answers,
        _flooding_body,
        _dripping_body,
        _half_a_status_line,
        _gzip_bomb,
        _redirect_loop,
        _body_longer_than_said,
        _negative_length,
        _closed_in_the_middle,
    )
}


def _answer(status: str, field: str) -> bytes:
    return f"HTTP/1.1 {status}\r\n{field}\r\nContent-Length: 0\r\n\r\n".encode()


@cache
def _bomb() -> bytes:
    return gzip.compress(bytes(BOMB_BYTES), 1)


async def _repeat(writer: asyncio.StreamWriter, data: bytes, seconds: float) -> None:
    """Send the same until the client has had enough."""
    while True:
        writer.write(data)
        await writer.drain()
        await asyncio.sleep(seconds)

"""A webhook's receiver that misbehaves on demand: a real HTTP server, and what it was sent."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from tests.kit.tcp import listening

Behaviour = Literal[
    "ok",
    "error",
    "hang",
    "slow",
    "close",
    "half",
    "redirect",
    "gone",
    "flood",
    "drip",
    "later",
    "garbage",
    "absurd",
    "headers",
    "interim",
    "bomb",
    "length",
    "longer",
]

FAILING: tuple[Behaviour, ...] = (
    *("error", "hang", "close", "half", "redirect", "later", "garbage"),
    *("absurd", "headers", "interim", "length"),
)
"""Those after which an event has not been taken."""


HELL: tuple[Behaviour, ...] = (*FAILING, "gone", "flood", "drip", "bomb", "longer")
"""Everything that a receiver may do but answer as it should."""

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
BOMB = gzip.compress(bytes(16 * 1024 * 1024))
"""A thousandth of what it becomes if it is decoded."""
ABSURD = "Mon, 01 Jan 99999999999999999999 00:00:00 GMT"
"""A Retry-After that no calendar holds."""


@dataclass(frozen=True)
class Delivery:
    """One request, as it came; `taken`: it was answered with 2xx."""

    path: str
    headers: dict[str, str]
    body: bytes
    behaviour: Behaviour
    taken: bool

    @property
    def event(self) -> dict[str, Any]:
        """Its body as a CloudEvent."""
        event: dict[str, Any] = msgspec.json.decode(self.body)
        return event

    @property
    def position(self) -> int:
        """The event's position."""
        return int(self.event["sequence"])


@dataclass
class Receiver:
    """Answers each request as `behave` says, given how many came before it."""

    port: int = 0
    behave: Callable[[int], Behaviour] = lambda _: "ok"
    deliveries: list[Delivery] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def taken(self) -> list[Delivery]:
        """What was answered with 2xx."""
        return [each for each in self.deliveries if each.taken]

    def had(self, count: int) -> Callable[[], bool]:
        """Return what tells whether there were so many requests."""
        return lambda: len(self.deliveries) >= count

    async def until(self, what: str, condition: Callable[[], bool], seconds: float = 30.0) -> None:
        """Wait until a condition on what arrived holds."""
        try:
            async with asyncio.timeout(seconds):
                while not condition():
                    self.arrived.clear()
                    await self.arrived.wait()
        except TimeoutError:
            raise AssertionError(f"not within {seconds:g} s: {what}") from None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection's requests."""
        with suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while await self._answer(reader, writer):
                pass
        writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers["content-length"]))
        behaviour = self.behave(len(self.deliveries))
        taken = behaviour not in (*FAILING, "gone")
        self.deliveries.append(Delivery(head[0].split()[1], headers, body, behaviour, taken))
        self.arrived.set()
        return await _behave(behaviour, writer)


async def _behave(behaviour: Behaviour, writer: asyncio.StreamWriter) -> bool:
    """Answer; tell whether the connection may be used again."""
    match behaviour:
        case "ok" | "error" | "gone" | "redirect" | "later" | "absurd":
            status = {"ok": "204 OK", "error": "500 No", "gone": "410 Gone", "redirect": "302 Found"}
            more = {
                "redirect": "Location: /hook\r\n",
                "later": "Retry-After: 77\r\n",
                "absurd": f"Retry-After: {ABSURD}\r\n",
            }.get(behaviour, "")
            first = status.get(behaviour, "503 Later")
            length = "" if behaviour == "ok" else "Content-Length: 0\r\n"
            writer.write(f"HTTP/1.1 {first}\r\n{more}{length}\r\n".encode())
            await writer.drain()
            return True
        case "hang":
            await asyncio.Event().wait()
        case "slow":
            for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n":
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(0.001)
            return True
        case "half":
            writer.write(b"HTTP/1.1 20")
            await writer.drain()
        case "garbage":
            writer.write(b"\x00\xff not HTTP at all\r\n\r\n")
            await writer.drain()
        case "flood" | "drip" | "headers" | "interim":
            await _go_on(behaviour, writer)
        case "bomb" | "length" | "longer":
            writer.write(_mislabelled(behaviour))
            await writer.drain()
        case "close":
            pass
    return False


async def _go_on(behaviour: Behaviour, writer: asyncio.StreamWriter) -> None:
    """Begin an answer that never ends."""
    begin, more = {
        "flood": (CHUNKED, b"1000\r\n" + bytes(0x1000) + b"\r\n"),
        "drip": (CHUNKED, b"1\r\nx\r\n"),
        "headers": (b"HTTP/1.1 200 OK\r\n", b"x: y\r\n" * 1_000),
    }.get(behaviour, (b"", b"HTTP/1.1 103 Hints\r\n\r\n" * 1_000))
    writer.write(begin)
    while True:
        writer.write(more)
        await writer.drain()
        await asyncio.sleep(0.01 if behaviour == "drip" else 0)


def _mislabelled(behaviour: Behaviour) -> bytes:
    """An answer whose body is not what its headers say."""
    match behaviour:
        case "bomb":
            head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(BOMB)
            return head + BOMB
        case "length":
            return b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nbody"
        case _:
            return b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nand then it closes"


@asynccontextmanager
async def receiving(behave: Callable[[int], Behaviour] = lambda _: "ok") -> AsyncIterator[Receiver]:
    """Run a receiver for as long as the context lasts."""
    receiver = Receiver(behave=behave)
    async with listening(receiver.serve) as receiver.port:
        yield receiver

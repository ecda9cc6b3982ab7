"""A load generator in a process of its own: bare sockets, one request at a time on each.

`python -m tests.bench.load` reads a `Load` as JSON from stdin and prints its `Figures`. An HTTP client made
for people costs more than the server that it measures.
"""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator

import msgspec


class Load(msgspec.Struct, frozen=True):
    """Which bodies to send, in order, and on how many connections."""

    port: int
    path: str
    bodies: list[str]
    connections: int


class Figures(msgspec.Struct, frozen=True):
    """How long all of it took, and how long each request, in seconds."""

    seconds: float
    latencies: list[float]

    @property
    def per_second(self) -> float:
        """Requests answered in a second."""
        return len(self.latencies) / self.seconds


def measured(load: Load) -> Figures:
    """Send the load from another process."""
    command = [sys.executable, "-m", "tests.bench.load"]
    done = subprocess.run(command, input=msgspec.json.encode(load), stdout=subprocess.PIPE, check=True)
    return msgspec.json.decode(done.stdout, type=Figures)


class _Connection(asyncio.Protocol):
    """Sends the next request as soon as the last is answered, for as long as there are any."""

    def __init__(self, path: str, bodies: Iterator[str], latencies: list[float]) -> None:
        self._path = path
        self._bodies = bodies
        self._latencies = latencies
        self._received = bytearray()
        self._sent = 0.0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first."""
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport
        self._next()

    def data_received(self, data: bytes) -> None:
        """Take a part of an answer; once it is whole, send the next request."""
        self._received += data
        end = self._received.find(b"\r\n\r\n")
        if end < 0 or len(self._received) < end + 4 + self._length(end):
            return
        if not self._received.startswith(b"HTTP/1.1 2"):
            self.done.set_exception(RuntimeError(self._received.decode()))
            return
        self._latencies.append(time.perf_counter() - self._sent)
        self._received.clear()
        self._next()

    def connection_lost(self, error: Exception | None) -> None:
        """Tell that it came too early."""
        if not self.done.done():
            self.done.set_exception(error or ConnectionError("the server closed the connection"))

    def _next(self) -> None:
        body = next(self._bodies, None)
        if body is None:
            self.done.set_result(None)
            self._transport.close()
            return
        head = f"POST {self._path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        self._sent = time.perf_counter()
        self._transport.write(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())

    def _length(self, end: int) -> int:
        head = bytes(self._received[:end]).lower()
        return int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])


async def _send(load: Load) -> Figures:
    loop = asyncio.get_running_loop()
    latencies: list[float] = []
    bodies = iter(load.bodies)
    began = time.perf_counter()
    connections = [
        (
            await loop.create_connection(
                lambda: _Connection(load.path, bodies, latencies), "127.0.0.1", load.port
            )
        )[1]
        for _ in range(load.connections)
    ]
    await asyncio.gather(*(connection.done for connection in connections))
    return Figures(time.perf_counter() - began, latencies)


if __name__ == "__main__":
    figures = asyncio.run(_send(msgspec.json.decode(sys.stdin.buffer.read(), type=Load)))
    sys.stdout.buffer.write(msgspec.json.encode(figures))

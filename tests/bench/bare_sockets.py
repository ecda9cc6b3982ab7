"""The floor of delivery: a server that only writes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from core.alarm.events import Event
from tests.bench.serving import framed, until


class Bare:
    """A server that only writes: what it costs to move the bytes."""

    def __init__(self) -> None:
        self.transports: list[asyncio.Transport] = []
        # What every socket is sent as soon as it is there.
        self.greeting: list[bytes] = []
        self.waiting = 0
        self.port = 0

    async def one_by_one(self, events: list[Event]) -> None:
        """Write each event in a frame of its own to every socket."""
        for event in events:
            frame = framed([event])
            for transport in self.transports:
                transport.write(frame)
            await until(lambda: not any(each.get_write_buffer_size() for each in self.transports))

    async def all_at_once(self, frames: list[bytes]) -> None:
        """Write every frame to every socket as fast as it takes them."""
        self.waiting = len(self.transports)
        for transport in self.transports:
            protocol = transport.get_protocol()
            assert isinstance(protocol, _Writing)
            protocol.begin(frames)
        await until(lambda: not self.waiting)


class _Writing(asyncio.Protocol):
    def __init__(self, server: Bare) -> None:
        self._server = server
        self._upgraded = False
        self._frames: list[bytes] = []
        self._next = 0
        self._paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, _data: bytes) -> None:
        if not self._upgraded:
            self._upgraded = True
            self._transport.write(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
            self._server.transports.append(self._transport)
            self.begin(self._server.greeting)

    def connection_lost(self, _error: Exception | None) -> None:
        self._server.transports.remove(self._transport)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._write()

    def begin(self, frames: list[bytes]) -> None:
        self._frames = frames
        self._next = 0
        self._write()

    def _write(self) -> None:
        while self._next < len(self._frames) and not self._paused:
            self._next += 1
            self._transport.write(self._frames[self._next - 1])
            if self._next == len(self._frames):
                self._server.waiting -= 1


@asynccontextmanager
async def bare() -> AsyncIterator[Bare]:
    """Run the floor."""
    built = Bare()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Writing(built), "127.0.0.1", 0, backlog=2_048)
    built.port = server.sockets[0].getsockname()[1]
    try:
        yield built
    finally:
        server.close()

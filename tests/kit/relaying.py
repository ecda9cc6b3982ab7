"""The inside of the proxy: what is to go wrong, and one connection that it goes wrong on."""

import asyncio
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

from tests.kit import framing

Direction = Literal["up", "down"]
"""To the server, or to the client."""
Fault = Literal["swallow_answer", "cut_before", "postpone"]

UNDER_WAY = 256
"""How many messages of a connection may be under way in one direction at once."""


@dataclass(eq=False)
class Trap:
    """What is to happen to the next request that contains these bytes; `fired` is set when it did."""

    fault: Fault
    needle: bytes
    fired: asyncio.Event = field(default_factory=asyncio.Event)

    async def wait(self, seconds: float = 10.0) -> None:
        """Wait until it fired. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            await self.fired.wait()


class Faults:
    """What is to go wrong on the connections of a proxy, and a count of what did."""

    def __init__(self, read: framing.Read) -> None:
        self.read = read
        self.fired: Counter[str] = Counter()
        # How much later each message arrives, in milliseconds; messages don't wait for each other.
        self.delay_ms: dict[Direction, float] = {"up": 0.0, "down": 0.0}
        # While true, what the server says gets lost, message by message, and connections stay open.
        self.dropping = False
        # Cleared by a black hole.
        self.passable = asyncio.Event()
        self.passable.set()
        # Cleared as long as postponed requests are kept.
        self.released = asyncio.Event()
        # How many bytes may pass before a connection is cut; None: any.
        self.budget: int | None = None
        self._traps: list[Trap] = []

    def set_trap(self, fault: Fault, needle: bytes) -> Trap:
        """Let this happen to the next request that contains the needle."""
        assert self.read is framing.message or fault == "cut_before", f"{fault} needs MongoDB's messages"
        trap = Trap(fault, needle)
        self._traps.append(trap)
        return trap

    def sprung(self, request: bytes) -> Trap | None:
        """Take the trap that a request springs, if any."""
        trap = next((trap for trap in self._traps if trap.needle in request), None)
        if trap is not None:
            self._traps.remove(trap)
        return trap

    def fire(self, trap: Trap) -> None:
        """Note that a trap did what it was there for."""
        self.fired[trap.fault] += 1
        trap.fired.set()

    def spend(self, size: int) -> int:
        """Take so many bytes from the budget; return how many of them may pass."""
        if self.budget is None:
            return size
        granted = min(size, self.budget)
        self.budget -= granted
        if granted < size:
            self.budget = None
            self.fired["cut_after"] += 1
        return granted


@dataclass(eq=False)
class Late:
    """A request that is kept until it is released."""

    trap: Trap
    request: bytes


class _OverError(Exception):
    """The connection is at its end."""


class Connection:
    """One client, one connection to the server for it, and what is under way between them."""

    def __init__(
        self, faults: Faults, client: tuple[asyncio.StreamReader, asyncio.StreamWriter], server_port: int
    ) -> None:
        self._faults = faults
        self._client_reader, self._client_writer = client
        self._server_port = server_port
        self._server_writer: asyncio.StreamWriter | None = None
        # The trap that waits for the answer to the request with this id.
        self._awaited: tuple[Trap, int] | None = None
        self._late: Late | None = None

    async def run(self) -> Late | None:
        """Pass messages on until either side hangs up or is cut; return the request that was kept, if any."""
        with suppress(OSError):
            self._server_reader, self._server_writer = await asyncio.open_connection(
                "127.0.0.1", self._server_port
            )
            await self._pass_on(self._server_writer)
        self._client_writer.transport.abort()
        return self._late

    async def deliver(self, late: Late) -> None:
        """Give the server a request that was kept, once it is released, and wait for the answer."""
        assert self._server_writer is not None
        self._faults.fire(late.trap)
        await self._faults.released.wait()
        with suppress(OSError, asyncio.IncompleteReadError):
            self._server_writer.write(late.request)
            await self._server_writer.drain()
            await self._faults.read(self._server_reader)

    def abort(self) -> None:
        """Hang up on both sides, whatever is under way."""
        self._client_writer.transport.abort()
        if self._server_writer is not None:
            self._server_writer.transport.abort()

    async def _pass_on(self, server: asyncio.StreamWriter) -> None:
        up: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(UNDER_WAY)
        down: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(UNDER_WAY)
        with suppress(ExceptionGroup):
            async with asyncio.TaskGroup() as group:
                group.create_task(self._take(self._client_reader, "up", up))
                group.create_task(self._give(up, server))
                group.create_task(self._take(self._server_reader, "down", down))
                group.create_task(self._give(down, self._client_writer))

    async def _take(
        self, reader: asyncio.StreamReader, direction: Direction, queue: asyncio.Queue[tuple[float, bytes]]
    ) -> None:
        now = asyncio.get_running_loop().time
        try:
            while True:
                data = await self._faults.read(reader)
                if self._request(data) if direction == "up" else self._answer(data):
                    await queue.put((now() + self._faults.delay_ms[direction] / 1_000, data))
        except (OSError, asyncio.IncompleteReadError):
            # What was sent before the end still arrives.
            await queue.put((0.0, b""))

    def _request(self, data: bytes) -> bool:
        """Do to a request what is to be done; return whether it goes on to the server."""
        trap = self._faults.sprung(data)
        if trap is None:
            return True
        if trap.fault == "cut_before":
            self._faults.fire(trap)
            raise _OverError
        if trap.fault == "postpone":
            self._late = Late(trap, data)
            raise _OverError
        self._awaited = (trap, framing.request_id(data))
        return True

    def _answer(self, data: bytes) -> bool:
        """Do to what the server said what is to be done; return whether it goes on to the client."""
        if self._awaited is not None and self._awaited[1] == framing.answered_id(data):
            self._faults.fire(self._awaited[0])
            raise _OverError
        if self._faults.dropping:
            self._faults.fired["dropping"] += 1
        return not self._faults.dropping

    async def _give(self, queue: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
        now = asyncio.get_running_loop().time
        while True:
            due, data = await queue.get()
            if due > now():
                await asyncio.sleep(due - now())
            await self._faults.passable.wait()
            granted = self._faults.spend(len(data))
            writer.write(data[:granted])
            await writer.drain()
            if not data or granted < len(data):
                raise _OverError

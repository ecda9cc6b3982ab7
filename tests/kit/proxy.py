"""A TCP proxy in front of a server of the tests, that breaks connections where a test wants them broken.

In front of mongod a client has to be told `directConnection=true`, as `Proxy.uri` does: a driver that
discovers a replica set goes to the addresses in the set's configuration, past the proxy.
"""

import asyncio
from typing import Self

from tests.kit import framing
from tests.kit.ports import free_port
from tests.kit.relaying import Connection, Faults, Trap


class Proxy(Faults):
    """An async context manager: inside it, clients that connect to `port` reach the server behind it.

    It lives on the event loop that entered: block that loop, and everything behind the proxy stands still.
    What it did to somebody is counted in `fired`, by the name of the method or attribute that asked for it.
    """

    def __init__(self, server_port: int, *, read: framing.Read = framing.message) -> None:
        """Take the loopback port of the server; `read=framing.chunk` if it is not a mongod."""
        super().__init__(read)
        self.port = free_port()
        self._server_port = server_port
        self._listener: asyncio.Server | None = None
        self._open: dict[asyncio.Task[None], Connection] = {}
        self._postponed: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        await self.accept()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._close()
        tasks = [*self._open, *self._postponed]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def uri(self) -> str:
        """Where a MongoDB driver finds the server by way of the proxy."""
        return f"mongodb://127.0.0.1:{self.port}/?directConnection=true"

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._open)

    def refuse(self) -> None:
        """Refuse new connections; those that are open stay."""
        self._close()
        self.fired["refuse"] += 1

    async def accept(self) -> None:
        """Accept connections (again)."""
        if self._listener is None:
            self._listener = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    def cut(self) -> int:
        """Cut all connections now, in the middle of whatever they are doing; return how many."""
        for task, connection in self._open.items():
            connection.abort()
            task.cancel()
        self.fired["cut"] += len(self._open)
        return len(self._open)

    def cut_after(self, size: int) -> None:
        """Let so many bytes pass, either way, and cut the connection that the next one belongs to."""
        self.budget = size

    def black_hole(self) -> None:
        """Let nothing pass any more, in either direction, and tell nobody: connections stay open.

        Nothing gets lost: as after a partition that ends, `heal` lets it all arrive late. If it should
        not, `cut` first.
        """
        self.passable.clear()
        self.fired["black_hole"] += 1

    def heal(self) -> None:
        """End the black hole."""
        self.passable.set()

    def swallow_answer(self, needle: bytes) -> Trap:
        """Cut the next connection whose request contains the needle, once the server has answered it.

        The server has done it all; the client never hears. `framing.command` makes good needles.
        """
        return self.set_trap("swallow_answer", needle)

    def cut_before(self, needle: bytes) -> Trap:
        """Cut the next connection whose request contains the needle; the server gets none of it."""
        return self.set_trap("cut_before", needle)

    def postpone(self, needle: bytes) -> Trap:
        """Cut the next client whose request contains the needle, and keep the request until `release`.

        The client cannot tell it from `cut_before`, but the request may still come true.
        """
        self.released.clear()
        return self.set_trap("postpone", needle)

    async def release(self, seconds: float = 10.0) -> int:
        """Let the server have the requests that were postponed, wait for its answers, return how many.

        Raises:
            TimeoutError: the server did not answer all of them in that time.
        """
        late = list(self._postponed)
        self.released.set()
        async with asyncio.timeout(seconds):
            await asyncio.gather(*late)
        self.fired["release"] += len(late)
        return len(late)

    def _close(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connection = Connection(self, (reader, writer), self._server_port)
        self._open[task] = connection
        try:
            late = await connection.run()
            del self._open[task]
            if late is not None:
                self._postponed.add(task)
                await connection.deliver(late)
        except asyncio.CancelledError:
            # It was cut. asyncio's own callback of this task (before 3.11.9) would make noise of it.
            return
        finally:
            connection.abort()
            self._open.pop(task, None)
            self._postponed.discard(task)

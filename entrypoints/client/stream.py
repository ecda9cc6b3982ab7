"""A client of the stream: one connection, taken up again where it was whatever becomes of the sockets."""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Coroutine, Sequence
from types import TracebackType
from typing import Any, Self

from core.backoff import backoff
from core.delivery.protocol import (
    SUBSCRIPTIONS,
    ErrorMessage,
    Goodbye,
    Hello,
    ResetMessage,
    ServerMessage,
    Unsubscribe,
)
from core.lists.filter import Filter
from entrypoints.client.connection import StreamConnection, connected
from entrypoints.client.errors import ConnectionLost, StreamEnded
from entrypoints.client.subscription import ClientSubscription, Told, wish
from entrypoints.client.token import ClientToken, GetToken

logger = logging.getLogger("tocsin.client")

SHORTEST_PAUSE = 0.5
LONGEST_PAUSE = 15.0
STABLE_SECONDS = 10.0
"""A connection that lasted this long was a success: the pauses begin at the shortest again."""
PATIENCE_SECONDS = 300.0
"""How long a client goes on trying while it gets no connection at all."""


def jittered(failures: int) -> float:
    """The seconds to wait after the n-th failure in a row; clients cut off together come back apart."""
    return backoff(failures, SHORTEST_PAUSE, LONGEST_PAUSE, random.random())


class TocsinStream:
    """One connection to any of some servers, as an async context manager.

        async with TocsinStream(["ws://127.0.0.1:8080/v1/stream"]) as stream:
            async for item in stream.subscribe(snapshot=True):
                ...

    A lost connection is taken up again at the next address, after a pause that grows and is jittered, and
    the subscriptions resume exactly. They share the connection, so a program reads all that it has, each in
    a task of its own. Their iterators raise:

        StreamEnded: the server wants no more of this client, or none was reached for `patience` seconds.
        SubscriptionRefused: the server does not take this subscription.
    """

    def __init__(
        self,
        urls: str | Sequence[str],
        *,
        token: GetToken | None = None,
        patience: float = PATIENCE_SECONDS,
        pause: Callable[[int], float] = jittered,
    ) -> None:
        """Take the addresses, where tokens come from, and how long to wait after the n-th failure."""
        self._urls = [urls] if isinstance(urls, str) else list(urls)
        self._tokens = None if token is None else ClientToken(token)
        self._patience = patience
        self._pause = pause
        # A dict for its order: they are asked for in the order in which they were wished for.
        self._subscriptions: dict[ClientSubscription, None] = {}
        # By the id on the wire. Each request has a new one: nothing meant for an earlier one is taken for it.
        self._asked: dict[str, ClientSubscription] = {}
        self._last_id = 0
        self._connection: StreamConnection | None = None
        self._log: str | None = None
        self._retry_after: float | None = None
        self._ended: StreamEnded | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._start(self._run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._end(StreamEnded("the stream was closed here"))

    @property
    def log(self) -> str | None:
        """The identity of the log that positions belong to; None before the first connection."""
        return self._log

    def subscribe(
        self,
        *,
        filter: Filter | None = None,  # noqa: A002 (the protocol's own name)
        after: int | None = None,
        log: str | None = None,
        snapshot: bool = False,
        conflate: bool = False,
    ) -> ClientSubscription:
        """Subscribe now and after every reconnection; `after` is a position of `log`, None: from now on.

        Raises:
            InvalidInput: the filter is out of its bounds.
            ValueError: both `after` and `snapshot`, or one subscription too many.
        """
        if len(self._subscriptions) >= SUBSCRIPTIONS:
            raise ValueError(f"a connection has at most {SUBSCRIPTIONS} subscriptions")
        wanted = wish(filter or Filter(), after, log, snapshot=snapshot, conflate=conflate)
        subscription = ClientSubscription(wanted, self._drop)
        if self._ended is not None:
            subscription.fail(self._ended)
            return subscription
        self._subscriptions[subscription] = None
        if self._connection is not None:
            self._start(self._ask(self._connection, subscription))
        return subscription

    async def _run(self) -> None:
        failures, reached = 0, time.monotonic()
        try:
            while True:
                began = time.monotonic()
                lost = await self._connect(self._urls[0])
                if self._connection is not None:
                    self._leave()
                    reached = time.monotonic()
                    failures = 0 if reached - began >= STABLE_SECONDS else failures
                self._check_patience(time.monotonic() - reached, lost)
                failures += 1
                await self._wait(failures, lost)
        except StreamEnded as ended:
            self._end(ended)

    def _check_patience(self, seconds: float, lost: ConnectionLost) -> None:
        if seconds >= self._patience:
            raise StreamEnded(f"no server for {self._patience:g} s; at last {lost}")

    async def _wait(self, failures: int, lost: ConnectionLost) -> None:
        self._urls.append(self._urls.pop(0))
        pause = self._pause(failures) if self._retry_after is None else self._retry_after
        self._retry_after = None
        logger.info("lost %s; again in %.1f s", lost, pause)
        await asyncio.sleep(min(pause, LONGEST_PAUSE))

    async def _connect(self, url: str) -> ConnectionLost:
        """Serve the subscriptions over one connection, and return why it was lost. Raises StreamEnded."""
        try:
            async with connected(url, self._tokens) as (connection, hello):
                self._connection, self._log = connection, hello.log
                # Others may come meanwhile; they ask for themselves.
                for subscription in list(self._subscriptions):
                    await self._ask(connection, subscription)
                while True:
                    await self._take(connection, await connection.receive())
        except ConnectionLost as lost:
            return lost

    def _leave(self) -> None:
        self._connection = None
        self._asked.clear()

    async def _ask(self, connection: StreamConnection, subscription: ClientSubscription) -> None:
        if connection is not self._connection or subscription not in self._subscriptions:
            return
        if subscription in self._asked.values():
            return
        self._last_id += 1
        name = f"s{self._last_id}"
        self._asked[name] = subscription
        await connection.send(subscription.request(name))

    async def _ask_later(self, connection: StreamConnection, subscription: ClientSubscription) -> None:
        subscription.failures += 1
        await asyncio.sleep(self._pause(subscription.failures))
        await self._ask(connection, subscription)

    async def _take(self, connection: StreamConnection, message: ServerMessage) -> None:
        if isinstance(message, Hello):
            self._log = message.log
        elif isinstance(message, Goodbye):
            self._retry_after = message.retry_after_ms / 1000
        elif (subscription := self._asked.get(message.id or "")) is not None:
            await self._hand(connection, subscription, message)

    async def _hand(self, connection: StreamConnection, subscription: ClientSubscription, told: Told) -> None:
        if isinstance(told, ResetMessage | ErrorMessage) and told.id is not None:
            self._asked.pop(told.id)
        if isinstance(told, ErrorMessage) and told.code == "unavailable":
            self._start(self._ask_later(connection, subscription))
            return
        await subscription.take(told, self._log)
        if isinstance(told, ResetMessage):
            await self._ask(connection, subscription)
        elif isinstance(told, ErrorMessage):
            self._subscriptions.pop(subscription, None)

    def _drop(self, subscription: ClientSubscription) -> None:
        """End a subscription that its consumer closed."""
        self._subscriptions.pop(subscription, None)
        for name in [name for name, asked in self._asked.items() if asked is subscription]:
            del self._asked[name]
            if self._connection is not None:
                self._start(self._connection.send(Unsubscribe(id=name)))

    def _end(self, ended: StreamEnded) -> None:
        self._ended = self._ended or ended
        self._leave()
        for subscription in self._subscriptions:
            subscription.fail(self._ended)
        self._subscriptions.clear()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # A defect here must not leave the consumers waiting for ever.
            logger.error("the client of the stream failed", exc_info=error)
            self._end(StreamEnded(f"the client failed: {error!r}"))

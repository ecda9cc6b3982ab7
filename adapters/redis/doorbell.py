"""Redis publish/subscribe as a doorbell, for several processes on a standalone mongod.

Messages may be dropped, repeated or late, and a process killed between its commit and its message sends none:
reading the log's tail once a second makes up for that.
"""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Protocol

import msgspec
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from core.application.waiting import failing_with
from core.backoff import backoff
from core.errors import StartupRefused, Unavailable
from core.log.ports import Notice

logger = logging.getLogger("tocsin.redis")

TAIL_SECONDS = 1.0
"""How often the log's tail is read: the longest that a lost message delays an event."""
TOPICS_LOOKS = 10
"""After so many reads every topic is rung: a process may have been killed between its write and its ring."""
ANSWER_SECONDS = 2.0
"""How long Redis may take for a connection or an answer."""
SILENCE_SECONDS = 5.0
"""After this long without a message Redis is pinged, and given as long to answer."""
RETRY_SECONDS = 2.0
CANCEL_SECONDS = 0.1


class Bell(Protocol):
    """A doorbell within this process that can be rung."""

    def ring(self, position: int = 0, topics: Iterable[str] = ()) -> None:
        """Tell the listeners how far the log is, and in which topics something changed."""
        ...

    def listen(
        self, moment: object, known: Callable[[], int]
    ) -> AbstractAsyncContextManager[AsyncIterator[Notice]]:
        """See core.log.ports.Doorbell."""
        ...


class Log(Protocol):
    """The log, as far as the doorbell reads it. Raises Unavailable."""

    async def identity(self) -> str:
        """Return the log identity."""
        ...

    async def glance(self) -> tuple[int, str]:
        """Return, in one read, the newest position and the log identity; a kill may undo that position."""
        ...


class RedisMessage(msgspec.Struct, frozen=True):
    """A published message: a position, safe from a kill of mongod, in the log of identity `log`."""

    log: str
    position: int = 0
    topics: list[str] = []


_decode = msgspec.json.Decoder(RedisMessage).decode
_encode = msgspec.json.Encoder().encode


class RedisDoorbell:
    """Rings for the commits of every process on the channel (see core.log.ports.Doorbell).

    `bell` rings in this process; `journaled` takes every position known to be journaled; `topics` are rung
    when messages about them may have been lost. While Redis is away, the tail is still read.
    """

    def __init__(  # noqa: PLR0913 (it connects Redis, the bell and the log)
        self,
        url: str,
        channel: str,
        bell: Bell,
        log: Log,
        *,
        journaled: Callable[[int], None],
        topics: Iterable[str],
    ) -> None:
        """Connect to nothing yet.

        Raises:
            StartupRefused: the URL is malformed.
        """
        self._redis = _client(url)
        self._channel = channel
        self._bell = bell
        self._log = log
        self._journaled = journaled
        self._all_topics = frozenset(topics)
        self._identity = ""
        self._position = 0
        self._topics: set[str] = set()
        self._unpublished = asyncio.Event()
        # Whether messages can come, and the reads of the tail since every topic was rung.
        self._subscribed = False
        self._looks = 0

    def ring(self, position: int = 0, topics: Iterable[str] = ()) -> None:
        """Ring in this process at once, and in the others as soon as Redis takes the message."""
        self._bell.ring(position, topics)
        self._position = max(self._position, position)
        self._topics.update(topics)
        self._unpublished.set()

    @asynccontextmanager
    async def listen(self, moment: object, known: Callable[[], int]) -> AsyncIterator[AsyncIterator[Notice]]:
        """Ring for every commit from now on. Raises Unavailable."""
        self._identity = await self._log.identity()
        async with self._bell.listen(moment, known) as notices:
            work = (_persistently(self._subscribe), _persistently(self._publish), self._read_tail())
            tasks = [asyncio.create_task(each) for each in work]
            try:
                async with failing_with(tasks):
                    yield notices
            finally:
                await _ended(tasks)
                with suppress(RedisError, OSError):
                    await self._redis.connection_pool.disconnect()

    async def _subscribe(self) -> None:
        """Ring for every message, until Redis breaks off or falls silent."""
        async with self._redis.pubsub() as subscription:
            await subscription.subscribe(self._channel)
            try:
                await self._receive(subscription)
            finally:
                self._subscribed = False

    async def _receive(self, subscription: PubSub) -> None:
        pinged = False
        while True:
            message = await subscription.get_message(timeout=SILENCE_SECONDS)
            if message is not None:
                pinged = False
                if message["type"] == "message":
                    self._hear(message["data"])
                elif message["type"] == "subscribe":
                    self._subscribed = True
                    self._ring_topics()
            elif pinged:
                raise RedisConnectionError("Redis fell silent")
            else:
                pinged = True
                await subscription.ping()

    def _hear(self, data: bytes) -> None:
        try:
            message = _decode(data)
        except msgspec.DecodeError:
            logger.warning("a message on channel %s is not one of Tocsin's", self._channel)
            return
        # A position in another log says nothing about this one.
        position = message.position if message.log == self._identity else 0
        self._journaled(position)
        self._bell.ring(position, message.topics)

    async def _publish(self) -> None:
        """Publish this process's rings; topics that could not be published go with the next message."""
        while True:
            await self._unpublished.wait()
            self._unpublished.clear()
            topics, self._topics = self._topics, set()
            try:
                await self._redis.publish(
                    self._channel, _encode(RedisMessage(self._identity, self._position, sorted(topics)))
                )
            except BaseException:
                self._topics |= topics
                self._unpublished.set()
                raise

    async def _read_tail(self) -> None:
        while True:
            await asyncio.sleep(TAIL_SECONDS)
            with suppress(Unavailable):
                await self._look()

    async def _look(self) -> None:
        """Ring for the log's tail, and now and then for every topic."""
        position, identity = await self._log.glance()
        replaced = identity != self._identity
        if replaced:
            self._identity, self._position = identity, 0
        self._bell.ring(position, ("meta",) if replaced else ())
        self._looks += 1
        if not self._subscribed or self._looks >= TOPICS_LOOKS:
            self._ring_topics()

    def _ring_topics(self) -> None:
        """Ring for every topic, since messages about any of them may have been lost."""
        self._looks = 0
        self._bell.ring(topics=self._all_topics)


def _client(url: str) -> Redis:
    try:
        return Redis.from_url(
            url,
            socket_timeout=ANSWER_SECONDS,
            socket_connect_timeout=ANSWER_SECONDS,
            # `_persistently` tries again instead, with bounded pauses and a line in the log.
            retry=Retry(NoBackoff(), 0),
        )
    except ValueError as error:
        raise StartupRefused(f"the Redis URL cannot be used: {error}") from error


async def _ended(tasks: Collection[asyncio.Task[None]]) -> None:
    """Cancel the tasks until they have ended: the client swallows a cancellation while it connects."""
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=CANCEL_SECONDS)


async def _persistently(work: Callable[[], Awaitable[None]]) -> None:
    """Repeat the work whenever Redis breaks it off."""
    tries = 0
    while True:
        began = asyncio.get_running_loop().time()
        try:
            await work()
        except (RedisError, OSError) as error:
            if asyncio.get_running_loop().time() - began > RETRY_SECONDS:
                tries = 0
            tries += 1
            if tries == 1:
                logger.warning("Redis: %s; meanwhile events come by reading the tail", error)
        await asyncio.sleep(backoff(tries, 0.02, RETRY_SECONDS, 0.5 + random.random() / 2))

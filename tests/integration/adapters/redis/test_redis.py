"""Several processes on a standalone mongod with Redis between them, and what becomes of them without it."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import msgspec
import pytest
from redis.asyncio import Redis

from adapters.redis import doorbell
from core.errors import StartupRefused
from entrypoints.process.settings import Settings
from entrypoints.process.storage import storage
from tests.kit import framing
from tests.kit.members import Member, burst, member, positions
from tests.kit.mongods import Mongod
from tests.kit.proxy import Proxy
from tests.kit.redis import RedisServer

NEVER = 3_600.0
SECONDS = 20.0
ENDINGS = 120

Start = Callable[[], AbstractAsyncContextManager[Member]]


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path) as server:
        yield server


@pytest.fixture
def start(standalone: Mongod, database: str, redis: RedisServer) -> Start:
    return lambda: member(standalone.uri, database, "redis", redis.url)


@pytest.fixture
def by_messages_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doorbell, "TAIL_SECONDS", NEVER)


async def listening(redis: RedisServer, channel: str, count: int) -> None:
    """Wait until so many processes are subscribed."""
    async with Redis.from_url(redis.url) as client, asyncio.timeout(SECONDS):
        while dict(await client.pubsub_numsub(channel)).get(channel.encode(), 0) != count:
            await asyncio.sleep(0.01)


@pytest.mark.usefixtures("by_messages_alone")
async def test_messages_alone_bring_every_event(start: Start, redis: RedisServer, database: str) -> None:
    async with start() as first, start() as second:
        await listening(redis, f"tocsin:{database}", 2)
        written = await burst(first, "a")
        assert await second.reached(len(written)) == written


@pytest.mark.usefixtures("by_messages_alone")
async def test_messages_alone_ring_topics(start: Start, redis: RedisServer, database: str) -> None:
    async with start() as first, start() as second:
        await listening(redis, f"tocsin:{database}", 2)
        waiting = second.feed.bells.of("webhooks")
        await first.store.connection["webhooks"].insert_one({"_id": "a"})
        async with asyncio.timeout(SECONDS):
            await waiting.wait()


@pytest.mark.usefixtures("by_messages_alone")
async def test_after_a_restart_of_redis_messages_come_again(
    start: Start, redis: RedisServer, database: str
) -> None:
    async with start() as first, start() as second:
        await listening(redis, f"tocsin:{database}", 2)
        await asyncio.to_thread(redis.restart)
        await listening(redis, f"tocsin:{database}", 2)
        event = await first.raised("a")
        assert await second.reached(1) == [event]


async def test_without_redis_events_flow_on(start: Start, redis: RedisServer) -> None:
    async with start() as first, start() as second:
        await asyncio.to_thread(redis.kill)
        written = await burst(first, "a")
        assert await second.reached(len(written)) == written
        assert first.feed.live
        assert second.feed.live


async def test_a_process_starts_without_redis_and_redis_may_come_later(
    start: Start, redis: RedisServer, database: str
) -> None:
    await asyncio.to_thread(redis.kill)
    async with start() as first, start() as second:
        event = await first.raised("a")
        assert await second.reached(1) == [event]
        await asyncio.to_thread(redis.start)
        await listening(redis, f"tocsin:{database}", 2)


async def test_redis_killed_and_restarted_again_and_again_loses_nothing(
    start: Start, redis: RedisServer
) -> None:
    async with start() as first, start() as second:

        async def write(writer: Member) -> None:
            for number in range(5):
                await burst(writer, f"{id(writer)}-{number}")

        writing = asyncio.gather(write(first), write(second))
        restarts = 0
        while not writing.done():
            await asyncio.to_thread(redis.restart)
            restarts += 1
        await writing
        total = (await first.store.log.tail()).position
        assert await first.reached(total) == await second.reached(total)
        assert positions(first.seen) == list(range(1, total + 1))
    assert restarts > 0


async def test_messages_that_get_lost_cost_no_event(
    standalone: Mongod, database: str, redis: RedisServer
) -> None:
    async with Proxy(redis.port, read=framing.chunk) as proxy:
        url = f"redis://127.0.0.1:{proxy.port}/0"
        near = member(standalone.uri, database, "redis", redis.url)
        far = member(standalone.uri, database, "redis", url)
        async with near as first, far as second:
            await listening(redis, f"tocsin:{database}", 2)
            proxy.black_hole()
            written = await burst(first, "a")
            assert await second.reached(len(written)) == written
            proxy.heal()
    assert proxy.fired["black_hole"] == 1


@pytest.mark.usefixtures("by_messages_alone")
async def test_a_redis_that_falls_silent_is_left_for_a_new_connection(
    standalone: Mongod, database: str, redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doorbell, "SILENCE_SECONDS", 0.2)
    async with Proxy(redis.port, read=framing.chunk) as proxy:
        url = f"redis://127.0.0.1:{proxy.port}/0"
        async with member(standalone.uri, database, "redis", url) as second:
            await listening(redis, f"tocsin:{database}", 1)
            proxy.black_hole()
            before = proxy.connections
            async with asyncio.timeout(SECONDS):
                while proxy.connections <= before:
                    await asyncio.sleep(0.01)
            proxy.heal()
            async with member(standalone.uri, database, "redis", redis.url) as first:
                await listening(redis, f"tocsin:{database}", 2)
                event = await first.raised("a")
                assert await second.reached(1) == [event]


@pytest.mark.usefixtures("by_messages_alone")
async def test_messages_that_others_publish_are_passed_over(
    start: Start, redis: RedisServer, database: str
) -> None:
    channel = f"tocsin:{database}"
    async with start() as first, Redis.from_url(redis.url) as stranger:
        await listening(redis, channel, 1)
        for message in (b"", b"\xff", b"[1]", b'{"log":"another","position":99}'):
            await stranger.publish(channel, message)
        event = await first.raised("a")
        assert await first.reached(1) == [event]
        assert first.feed.lag == 0
        await stranger.publish(
            channel, msgspec.json.encode({"log": first.feed.identity, "topics": ["outbox"]})
        )


async def test_a_process_ends_at_once_whatever_its_connection_to_redis_is_doing(start: Start) -> None:
    async with start() as first:
        for turns in range(ENDINGS):
            async with asyncio.timeout(SECONDS), first.store.doorbell.listen(None, lambda: 0):
                first.store.ring(0)
                for _ in range(turns % 40):
                    await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("url", "says"), [(None, "TOCSIN_REDIS_URL"), ("", "TOCSIN_REDIS_URL"), ("http://x", "Redis URL")]
)
async def test_the_redis_feed_needs_an_address(
    standalone: Mongod, database: str, url: str | None, says: str
) -> None:
    settings = Settings(mongodb_uri=standalone.uri, database=database, feed="redis", redis_url=url)
    with pytest.raises(StartupRefused, match=says):
        await storage(settings).__aenter__()


async def test_a_listening_task_that_fails_unforeseen_ends_the_listening_for_the_feed_to_begin_again(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with start() as first:
        monkeypatch.setattr(doorbell, "TAIL_SECONDS", 0.01)
        monkeypatch.setattr(first.store.log, "glance", _broken)
        with pytest.raises(KeyError, match="at"):
            async with asyncio.timeout(SECONDS), first.store.doorbell.listen(None, lambda: 0):
                await asyncio.Event().wait()
        monkeypatch.undo()
        event = await first.raised("a")
        assert await first.reached(1) == [event]


async def _broken() -> tuple[int, str]:
    raise KeyError("at")

"""The proxy breaks connections where it is told to: a real mongod shows what got through."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pymongo
import pytest
from pymongo import AsyncMongoClient
from pymongo.errors import AutoReconnect, PyMongoError

from tests.kit import framing
from tests.kit.proxy import Proxy
from tests.kit.redis import RedisServer
from tests.kit.replicasets import ReplicaSet
from tests.kit.waiting import POLL_SECONDS, eventually

Client = AsyncMongoClient[dict[str, Any]]
Connect = Callable[..., AbstractAsyncContextManager[Client]]
INSERT = framing.command("insert", "things")


@asynccontextmanager
async def connect(uri: str, **options: Any) -> AsyncIterator[Client]:
    client: Client = AsyncMongoClient(uri, **{"retryWrites": False, "retryReads": False, **options})
    try:
        await client.admin.command("ping")
        yield client
    finally:
        await client.close()


@pytest.fixture
async def proxy(replica_set: ReplicaSet) -> AsyncIterator[Proxy]:
    async with Proxy(replica_set.nodes[0].port) as proxy:
        yield proxy


@pytest.fixture
async def through(proxy: Proxy) -> AsyncIterator[Client]:
    """Give a client that does not try again and goes through the proxy."""
    async with connect(proxy.uri) as client:
        yield client


@pytest.fixture
async def past(mongodb_uri: str) -> AsyncIterator[Client]:
    """Give a client that does not go through the proxy."""
    async with connect(mongodb_uri) as client:
        yield client


async def insert(client: Client, database: str, number: int) -> None:
    await client[database].things.insert_one({"_id": number})


async def numbers(client: Client, database: str) -> list[int]:
    return [thing["_id"] async for thing in client[database].things.find().sort("_id")]


async def elapsed(client: Client) -> float:
    now = asyncio.get_running_loop().time
    begin = now()
    await client.admin.command("ping")
    return now() - begin


async def test_an_unbroken_proxy_only_passes_on(
    proxy: Proxy, through: Client, past: Client, database: str
) -> None:
    await through[database].things.insert_many([{"_id": number, "x": "x" * 5_000} for number in range(500)])
    assert await numbers(through, database) == await numbers(past, database) == list(range(500))
    assert proxy.connections > 0
    assert not proxy.fired


async def test_each_direction_can_be_slow(proxy: Proxy, through: Client) -> None:
    proxy.delay_ms = {"up": 20, "down": 50}
    assert await elapsed(through) >= 0.07
    proxy.delay_ms = {"up": 0, "down": 50}
    assert await elapsed(through) >= 0.05


async def test_messages_of_a_slow_direction_do_not_wait_for_each_other(proxy: Proxy, through: Client) -> None:
    proxy.delay_ms["up"] = 200
    now = asyncio.get_running_loop().time
    begin = now()
    await asyncio.gather(*(through.admin.command("ping") for _ in range(10)))
    # One after the other they would take two seconds; new connections take a few messages each.
    assert now() - begin < 1.9


async def test_all_connections_are_cut_at_once(proxy: Proxy, through: Client, past: Client) -> None:
    asleep = asyncio.create_task(through.admin.command("sleep", 1, millis=60_000, lock="none"))
    async with asyncio.timeout(10):
        while not (await past.admin.command({"currentOp": 1, "command.sleep": 1}))["inprog"]:
            await asyncio.sleep(POLL_SECONDS)
    assert proxy.cut() == proxy.fired["cut"] >= 1
    with pytest.raises(AutoReconnect):
        await asleep
    await through.admin.command("ping")


async def test_a_connection_is_cut_in_the_middle_of_a_message(
    proxy: Proxy, through: Client, past: Client, database: str
) -> None:
    proxy.cut_after(1_000)
    with pytest.raises(AutoReconnect):
        await through[database].things.insert_one({"_id": 1, "x": "x" * 100_000})
    assert proxy.fired["cut_after"] == 1
    assert await numbers(past, database) == []


async def test_an_answer_is_swallowed_after_the_deed(
    proxy: Proxy, through: Client, past: Client, database: str
) -> None:
    await insert(through, database, 1)
    trap = proxy.swallow_answer(INSERT)
    with pytest.raises(AutoReconnect):
        await insert(through, database, 2)
    await trap.wait()
    assert proxy.fired == {"swallow_answer": 1}
    assert await numbers(past, database) == [1, 2]
    await insert(through, database, 3)
    assert await numbers(past, database) == [1, 2, 3]


async def test_a_driver_that_retries_does_not_notice_that_an_answer_was_swallowed(
    proxy: Proxy, past: Client, database: str
) -> None:
    trap = proxy.swallow_answer(INSERT)
    async with connect(proxy.uri, retryWrites=True) as client:
        await insert(client, database, 1)
    assert trap.fired.is_set()
    assert await numbers(past, database) == [1]


async def test_only_the_request_that_was_meant_springs_a_trap(
    proxy: Proxy, through: Client, database: str
) -> None:
    trap = proxy.swallow_answer(framing.command("insert", "other"))
    await insert(through, database, 1)
    assert not trap.fired.is_set()


async def test_a_connection_is_cut_before_the_deed(
    proxy: Proxy, through: Client, past: Client, database: str
) -> None:
    proxy.cut_before(INSERT)
    with pytest.raises(AutoReconnect):
        await insert(through, database, 1)
    assert proxy.fired == {"cut_before": 1}
    assert await numbers(past, database) == []


async def test_a_postponed_request_comes_true_when_it_is_released(
    proxy: Proxy, through: Client, past: Client, database: str
) -> None:
    await insert(past, database, 1)
    trap = proxy.postpone(INSERT)
    with pytest.raises(AutoReconnect):
        await insert(through, database, 2)
    await trap.wait()
    proxy.cut()
    # Round trips enough for the request to arrive, were it not kept.
    await past[database].things.insert_many([{"_id": number} for number in range(10, 20)])
    await insert(past, database, 20)
    assert 2 not in await numbers(past, database)
    assert await proxy.release() == 1
    assert 2 in await numbers(past, database)


async def test_new_connections_are_refused_and_open_ones_stay(proxy: Proxy, through: Client) -> None:
    proxy.refuse()
    await through.admin.command("ping")
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", proxy.port)
    assert proxy.fired["refuse"] == 1
    await proxy.accept()
    async with connect(proxy.uri):
        pass


async def test_a_black_hole_says_nothing_until_it_is_healed(
    proxy: Proxy, through: Client, past: Client, database: str
) -> None:
    proxy.black_hole()
    with pytest.raises(PyMongoError), pymongo.timeout(0.3):
        await insert(through, database, 1)
    assert await numbers(past, database) == []
    proxy.heal()
    await insert(through, database, 2)
    assert 2 in await numbers(past, database)


async def test_what_the_server_says_gets_lost_and_the_connection_stays(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as redis:
        async with Proxy(redis.port, read=framing.chunk) as proxy:
            reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
            proxy.dropping = True
            writer.write(b"ECHO lost\r\n")
            await eventually("the answer is dropped", lambda: proxy.fired["dropping"] == 1)
            proxy.dropping = False
            writer.write(b"ECHO heard\r\n")
            assert await asyncio.wait_for(reader.readuntil(b"heard\r\n"), 5) == b"$5\r\nheard\r\n"
            writer.close()
            await writer.wait_closed()

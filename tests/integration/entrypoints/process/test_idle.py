"""An idle process asks MongoDB for nothing but leases, the change stream's await, and with Redis the tail."""

import asyncio
from collections import Counter
from pathlib import Path

from adapters.mongo.client import Database, connect
from entrypoints.process.settings import FeedChoice
from tests.kit.members import member
from tests.kit.mongods import Mongod
from tests.kit.redis import RedisServer
from tests.kit.waiting import NeverHappened

RENEWALS = 4
SETTINGS = {("update", "settings"), ("query", "settings")}
WORKERS = {("update", "leases"), ("update", "processes"), ("aggregate", "processes"), *SETTINGS}
SECONDS = 30.0

Asked = Counter[tuple[str, str]]


async def asked_while_idle(database: Database) -> Asked:
    """Return which commands came on which collections until the leases were renewed a few times."""
    await database.command("profile", 2)
    try:
        async with asyncio.timeout(SECONDS):
            while (asked := await profiled(database))["update", "leases"] < RENEWALS:
                await asyncio.sleep(0.2)
    except TimeoutError:
        raise NeverHappened(f"only {asked}") from None
    finally:
        await database.command("profile", 0)
    return asked


async def profiled(database: Database) -> Asked:
    asked: Asked = Counter()
    async for entry in database["system.profile"].find({"ns": {"$ne": f"{database.name}.system.profile"}}):
        name = entry["op"] if entry["op"] != "command" else next(iter(entry["command"]))
        asked[name, entry["ns"].partition(".")[2]] += 1
    # What only starts the profiler, or reads it.
    return Counter({key: count for key, count in asked.items() if key[0] != "profile"})


async def idle(uri: str, database: str, feed: FeedChoice, redis_url: str | None = None) -> Asked:
    async with member(uri, database, feed, redis_url) as process:
        await process.raised("pump")
        await process.reached(1)
        assert await process.process.services.projected(1, SECONDS)
        connection = connect(uri, database)
        # The first time it may still be starting.
        await asked_while_idle(connection)
        await connection.drop_collection("system.profile")
        asked = await asked_while_idle(connection)
        connection.client.close()
    return asked


async def test_an_idle_process_with_a_change_stream_asks_for_that_and_leases_alone(
    mongodb_uri: str, database: str
) -> None:
    asked = await idle(mongodb_uri, database, "changestream")
    assert set(asked) <= {*WORKERS, ("getmore", "$cmd.aggregate")}


async def test_an_idle_process_on_a_standalone_asks_for_leases_alone(
    standalone: Mongod, database: str
) -> None:
    asked = await idle(standalone.uri, database, "local")
    assert set(asked) <= WORKERS


async def test_an_idle_process_with_redis_reads_the_tail_once_a_second(
    standalone: Mongod, database: str, tmp_path: Path
) -> None:
    with RedisServer(tmp_path) as redis:
        asked = await idle(standalone.uri, database, "redis", redis.url)
    assert set(asked) <= {*WORKERS, ("aggregate", "events")}
    # Six leases are renewed every 1.3 s: four renewals take less than 3 s.
    assert 1 <= asked["aggregate", "events"] <= RENEWALS

"""One process on a standalone mongod: nothing delivered is undone, and a second process is refused."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from pymongo import WriteConcern

from adapters.mongo.client import Database, connect
from adapters.mongo.codec import event_document
from adapters.mongo.log.journal import JournaledStore
from adapters.mongo.log.log import MongoLog
from adapters.mongo.log.store import EVENTS, EventStore
from core.alarm.events import Event
from tests.kit.clients import streaming
from tests.kit.history import History
from tests.kit.mongods import Mongod
from tests.kit.processes import Process
from tests.kit.servers import TocsinServer

NOT_JOURNALED = WriteConcern(1, j=False)
ROUNDS = 3
SECONDS = 20.0


@pytest.fixture
async def log(standalone: Mongod, database: str) -> AsyncIterator[Database]:
    connection = connect(standalone.uri, database)
    yield connection
    connection.client.close()


@pytest.fixture
def history() -> History:
    history = History()
    for number in range(ROUNDS):
        history.raised(f"source-{number}")
    return history


async def apply(log: Database, event: Event) -> None:
    """Write as a process does that has not had mongod's answer yet: applied, and not in the journal."""
    events = log.get_collection(EVENTS, write_concern=NOT_JOURNALED)
    await events.insert_one(event_document(event))


async def crash(mongod: Mongod) -> None:
    await asyncio.to_thread(mongod.kill)
    await asyncio.to_thread(mongod.start)


async def is_kept(log: Database, event: Event) -> bool:
    return await EventStore(log).find(event, "event_id") is not None


async def test_a_kill_undoes_what_a_plain_majority_read_has_shown(
    standalone: Mongod, log: Database, history: History
) -> None:
    # Why there is a JournaledStore. If this ever fails, mongod does by itself what that is for.
    kept = []
    for event in history.events:
        await apply(log, event)
        assert await EventStore(log).find(event, "event_id") == event
        await crash(standalone)
        kept.append(await is_kept(log, event))
        if not kept[-1]:
            await apply(log, event)
        await JournaledStore(log).tail()
    assert not all(kept)


@pytest.mark.parametrize("read", ["tail", "read", "find", "stamps", "newest_of_all"])
async def test_a_kill_leaves_what_a_journaled_store_has_shown(
    standalone: Mongod, log: Database, history: History, read: str
) -> None:
    store = JournaledStore(log)
    await store.create_indexes()
    for event in history.events:
        await apply(log, event)
        match read:
            case "tail":
                assert (await store.tail()).event_id == event.event_id
            case "read":
                assert (await store.read(event.position - 1, 10)).events == [event]
            case "find":
                assert await store.find(event, "event_id") == event
            case "newest_of_all":
                shown = [snapshot async for page in store.newest_of_all() for snapshot in page]
                assert event.snapshot in shown
            case _:
                assert (await store.stamps(event.position, 10))[0].event_id == event.event_id
        await crash(standalone)
        assert await is_kept(log, event)


async def test_a_read_goes_no_further_than_what_is_acknowledged(log: Database, history: History) -> None:
    store = JournaledStore(log)
    for event in history.events:
        await apply(log, event)
    store.journaled(2)
    assert (await store.read(0, 10)).events == history.events[:2]
    assert (await store.read(2, 10)).events == history.events[2:]


async def test_a_second_process_ends_with_one_line_that_says_why(
    standalone: Mongod, database: str, tmp_path: Path
) -> None:
    first = TocsinServer(tmp_path, standalone.uri, database)
    second = TocsinServer(tmp_path, standalone.uri, database)
    async with up(first):
        await asyncio.to_thread(second.process.start)
        assert await asyncio.to_thread(second.process.wait) == 2
        [line] = refusals(second.process)
        assert "another process is running on this database" in line
        assert await asyncio.to_thread(first.terminate) == 0
        async with up(second):
            pass


async def test_a_process_that_was_killed_makes_way_for_the_next(
    standalone: Mongod, database: str, tmp_path: Path
) -> None:
    server = TocsinServer(tmp_path, standalone.uri, database)
    async with up(server):
        await asyncio.to_thread(server.kill)
        await asyncio.to_thread(server.start)


async def test_a_process_that_slept_through_its_lease_ends_when_another_has_it(
    standalone: Mongod, database: str, tmp_path: Path
) -> None:
    slept = TocsinServer(tmp_path, standalone.uri, database)
    other = TocsinServer(tmp_path, standalone.uri, database)
    async with up(slept):
        await asyncio.to_thread(slept.pause)
        async with up(other):
            await asyncio.to_thread(slept.wake)
            assert await asyncio.to_thread(slept.process.wait) == 2
            assert "another process took over" in refusals(slept.process)[-1]


async def test_clients_go_on_when_mongod_is_killed_and_comes_back(
    standalone: Mongod, database: str, tmp_path: Path
) -> None:
    server = TocsinServer(tmp_path, standalone.uri, database)
    async with up(server), streaming(server.ws_url) as client, server.client() as http:
        await raised(http, "a")
        await client.until(1)
        await asyncio.to_thread(standalone.kill)
        await asyncio.to_thread(standalone.start)
        await raised(http, "b")
        events = await client.until(2)
    assert [event["position"] for event in events] == [1, 2]


async def test_tail_is_refused_where_it_would_hear_nothing(
    standalone: Mongod, log: Database, database: str, tmp_path: Path
) -> None:
    await MongoLog(log).create()
    tail = TocsinServer(tmp_path, standalone.uri, database).process
    tail.command[tail.command.index("serve") :] = [
        *("tail", "--mongodb-uri", standalone.uri, "--database", database)
    ]
    await asyncio.to_thread(tail.start)
    assert await asyncio.to_thread(tail.wait) == 2
    assert "only the server's own process hears" in refusals(tail)[-1]


@asynccontextmanager
async def up(server: TocsinServer) -> AsyncIterator[None]:
    await asyncio.to_thread(server.start)
    try:
        yield
    finally:
        await asyncio.to_thread(server.kill)


def refusals(process: Process) -> list[str]:
    return [line for line in process.output().splitlines() if line.startswith("tocsin: ")]


async def raised(http: httpx.AsyncClient, source: str) -> None:
    body = {"source": source, "type": "pressure", "severity": "major"}
    async with asyncio.timeout(SECONDS):
        while (await http.post("/v1/alarms", json=body)).status_code not in (200, 201):
            pass

"""Commands over held connections, on a real replica set: answers, errors, and what closes a connection."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import bson
import pytest
from pymongo.errors import (
    AutoReconnect,
    DocumentTooLarge,
    InvalidOperation,
    NetworkTimeout,
    NotPrimaryError,
    OperationFailure,
)

from adapters.mongo.client import RAW, Database, connect
from adapters.mongo.errors import retried
from adapters.mongo.log.store import EventStore
from adapters.mongo.log.write_monitor import WriteMonitor
from adapters.mongo.wire import held_connection
from adapters.mongo.wire.commands import Commands, DriverCommands
from adapters.mongo.wire.held_connections import HELD, HeldConnections
from core.alarm.evolution import place
from core.log.ports import Duplicate, Unknown, Written
from tests.kit.chains import absent, raised
from tests.kit.mongods import Mongod
from tests.kit.replicasets import ReplicaSet
from tests.kit.waiting import eventually

PING = {"ping": 1}
POINT = "failCommand"
HELD_UP_MS = 2_000
NOT_PRIMARY = 10107
THINGS = [bson.encode({"_id": number, "text": "x" * 100}) for number in range(1, 6)]


@pytest.fixture
def node(replica_set: ReplicaSet) -> Mongod:
    return replica_set.primary()


def hold_up(node: Mongod, command: str) -> Callable[[], Awaitable[None]]:
    """Hold up the next command of this name; return what waits until it has come."""
    times = node.fail_point(
        POINT, {"times": 1}, failCommands=[command], blockConnection=True, blockTimeMS=HELD_UP_MS
    )
    return lambda: asyncio.to_thread(node.wait_for_fail_point, POINT, times + 1)


def in_use(database: Database) -> int:
    """Return how many connections the driver counts as taken out of its pools."""
    servers = database.client.delegate._topology._servers.values()
    return sum(server.pool.active_sockets for server in servers)


async def connection_id(commands: Commands) -> Any:
    return (await commands.run({"hello": 1}))["connectionId"]


async def insert(commands: Commands) -> Any:
    return await commands.run({"insert": "things", "ordered": False}, documents=("documents", THINGS))


async def test_answers_are_those_of_the_driver(connected: Database, held: HeldConnections) -> None:
    await insert(held)
    for commands in (held, DriverCommands(connected)):
        found = await commands.run({"find": "things", "sort": {"_id": 1}})
        assert [document["_id"] for document in found["cursor"]["firstBatch"]] == [1, 2, 3, 4, 5]
        raw = await commands.run({"find": "things", "sort": {"_id": 1}}, RAW)
        assert [document.raw for document in raw["cursor"]["firstBatch"]] == THINGS
        refused = await insert(commands)
        assert [error["code"] for error in refused["writeErrors"]] == [11000] * len(THINGS)


async def test_one_connection_serves_one_command_after_the_other(held: HeldConnections) -> None:
    assert len({await connection_id(held) for _ in range(5)}) == 1


async def test_errors_are_those_of_the_driver_and_leave_the_connection(
    connected: Database, held: HeldConnections
) -> None:
    before = await connection_id(held)
    details = []
    for commands in (held, DriverCommands(connected)):
        with pytest.raises(OperationFailure) as refused:
            await commands.run({"find": "things", "filter": {"$no": 1}})
        details.append((type(refused.value), refused.value.code, str(refused.value)))
    assert details[0] == details[1]
    assert await connection_id(held) == before


async def test_a_command_that_is_given_up_closes_its_connection(
    connected: Database, held: HeldConnections, node: Mongod
) -> None:
    before = await connection_id(held)
    arrived = hold_up(node, "insert")
    inserting = asyncio.create_task(insert(held))
    await arrived()
    inserting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await inserting
    assert in_use(connected) == 0
    assert await connection_id(held) != before


async def test_no_answer_in_time_closes_the_connection(
    held: HeldConnections, node: Mongod, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await connection_id(held)
    monkeypatch.setattr(held_connection, "SOCKET_MS", 100)
    hold_up(node, "insert")
    with pytest.raises(NetworkTimeout):
        await insert(held)
    monkeypatch.undo()
    assert await connection_id(held) != before


async def test_an_insert_without_its_answer_is_unknown_and_can_be_sent_again(
    connected: Database, held: HeldConnections, node: Mongod, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = EventStore(connected, held)
    await store.create_indexes()
    document, _ = store.encode(place(absent(), raised(absent()), 1, None))
    monkeypatch.setattr(held_connection, "SOCKET_MS", 100)
    hold_up(node, "insert")
    assert await store.insert([document]) == Unknown()
    monkeypatch.undo()
    assert await store.insert([document]) in (Written(), Duplicate(0, "position"))
    assert [stamp.position for stamp in await store.stamps(1, 10)] == [1]


async def test_a_connection_that_the_server_closes_is_replaced(held: HeldConnections, node: Mongod) -> None:
    before = await connection_id(held)
    node.fail_point(POINT, {"times": 1}, failCommands=["ping"], closeConnection=True)
    with pytest.raises(AutoReconnect):
        await held.run(PING)
    assert await connection_id(held) != before


async def test_listeners_hear_of_writes_and_the_driver_of_a_lost_connection(
    replica_set: ReplicaSet, database: str, node: Mongod
) -> None:
    heard: list[str] = []
    connected = connect(replica_set.uri, database, [WriteMonitor(("meta", "things"), heard.append)])
    held = HeldConnections(connected)
    try:
        await insert(held)
        await eventually("the driver found the server", lambda: "meta" in heard)
        await eventually("the write is told", lambda: "things" in heard)
        heard.clear()
        node.fail_point(POINT, {"times": 1}, failCommands=["insert"], closeConnection=True)
        with pytest.raises(AutoReconnect):
            await insert(held)
        await eventually("a write that may have happened is told", lambda: "things" in heard)
        await eventually("the driver lost the server and found it again", lambda: "meta" in heard)
    finally:
        await held.close()
        connected.client.close()


async def test_a_primary_that_steps_down_answers_by_an_error_and_the_connection_is_closed(
    held: HeldConnections, node: Mongod
) -> None:
    before = await connection_id(held)
    node.fail_point(POINT, {"times": 1}, failCommands=["ping"], errorCode=NOT_PRIMARY)
    with pytest.raises(NotPrimaryError):
        await held.run(PING)
    assert await connection_id(held) != before


async def test_commands_follow_the_primary(three_nodes: ReplicaSet, database: str) -> None:
    connected = connect(three_nodes.uri, database)
    held = HeldConnections(connected)
    try:
        before = (await held.run({"hello": 1}))["me"]
        await asyncio.to_thread(three_nodes.step_down)
        await retried(lambda: insert(held), 30.0)
        assert (await held.run({"hello": 1}))["me"] != before
    finally:
        await held.close()
        connected.client.close()


async def test_more_than_are_held_go_through_the_driver(connected: Database, held: HeldConnections) -> None:
    answers = await asyncio.gather(*(held.run({"hello": 1}) for _ in range(4 * HELD)))
    assert len(answers) == 4 * HELD
    assert in_use(connected) == HELD


async def test_a_session_reads_its_cursor_on(held: HeldConnections) -> None:
    await insert(held)
    async with held.session() as run:
        first = await run({"find": "things", "batchSize": 2}, RAW)
        more = await run({"getMore": first["cursor"]["id"], "collection": "things"}, RAW)
        assert len(first["cursor"]["firstBatch"]) + len(more["cursor"]["nextBatch"]) == len(THINGS)


async def test_a_caller_that_gives_up_while_a_connection_opens_loses_none(
    connected: Database, held: HeldConnections
) -> None:
    asking = asyncio.create_task(held.run(PING))
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await connection_id(held)
    await held.close()
    assert in_use(connected) == 0


async def test_closing_ends_what_is_under_way_and_gives_everything_back(
    connected: Database, held: HeldConnections, node: Mongod
) -> None:
    await asyncio.gather(*(held.run(PING) for _ in range(3)))
    arrived = hold_up(node, "insert")
    inserting = asyncio.create_task(insert(held))
    await arrived()
    opening = [asyncio.create_task(held.run(PING)) for _ in range(HELD - 1)]
    await asyncio.sleep(0)
    await held.close()
    with pytest.raises(AutoReconnect):
        await inserting
    await asyncio.gather(*opening, return_exceptions=True)
    assert in_use(connected) == 0
    # What comes later is the driver's.
    assert (await held.run(PING))["ok"]


async def test_what_is_under_way_ends_when_the_driver_gives_the_server_up(
    connected: Database, held: HeldConnections, node: Mongod
) -> None:
    await held.run(PING)
    arrived = hold_up(node, "insert")
    inserting = asyncio.create_task(insert(held))
    await arrived()
    for server in connected.client.delegate._topology._servers.values():
        await asyncio.to_thread(server.pool.reset, interrupt_connections=True)
    with pytest.raises(AutoReconnect):
        await inserting


async def test_a_command_beyond_the_servers_bounds_is_not_sent(held: HeldConnections) -> None:
    before = await connection_id(held)
    too_much = [bson.encode({"text": "x" * 16_000_000})] * 4
    with pytest.raises(DocumentTooLarge):
        await held.run({"insert": "things"}, documents=("documents", too_much))
    assert await connection_id(held) == before


async def test_a_message_larger_than_the_sockets_buffer_arrives(held: HeldConnections) -> None:
    large = [bson.encode({"_id": number, "text": "x" * 3_000_000}) for number in range(3)]
    assert (await held.run({"insert": "large"}, documents=("documents", large)))["n"] == 3
    found = await held.run({"find": "large"}, RAW)
    assert [document.raw for document in found["cursor"]["firstBatch"]] == large


async def test_after_the_client_is_closed_commands_fail(mongodb_uri: str, database: str) -> None:
    connected = connect(mongodb_uri, database)
    held = HeldConnections(connected)
    await held.run(PING)
    connected.client.close()
    with pytest.raises(InvalidOperation):
        await held.run(PING)
    await held.close()

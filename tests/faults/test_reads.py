"""What is written and not majority-committed is shown to nobody and trusted by nobody.

A failover would take it back.
"""

import asyncio

import pytest
from pymongo import WriteConcern

from adapters.mongo.client import connect
from adapters.mongo.codec import event_document
from adapters.mongo.log import store as stores
from adapters.mongo.log.log import MongoLog
from adapters.mongo.log.store import EVENTS, EventStore
from core.log.ports import Duplicate, Unknown
from tests.kit.history import History
from tests.kit.replicasets import ReplicaSet

pytestmark = pytest.mark.faults

WRITE_MS = 200
"""How long the server waits for the majority in these tests."""


async def test_no_read_shows_what_the_majority_does_not_have(three_nodes: ReplicaSet, database: str) -> None:
    history = History()
    history.raised("pump")
    [event] = history.events
    connection = connect(three_nodes.uri, database)
    log, store = MongoLog(connection), EventStore(connection)
    await log.create()
    await asyncio.to_thread(three_nodes.stop_replication)
    try:
        local = connection.get_collection(EVENTS, write_concern=WriteConcern(1))
        await local.insert_one(event_document(event))
        assert (await log.tail()).position == 0
        assert (await log.glance())[0] == 0
        assert (await log.read(0, 10)).events == []
        assert await log.newest(event.stream) is None
        assert await store.find(event, "event_id") is None
        assert await store.stamps(1, 10) == []
    finally:
        await asyncio.to_thread(three_nodes.heal)
    assert (await log.tail()).position == 1
    connection.client.close()


async def test_no_answer_to_an_insert_is_believed_without_the_majority(
    three_nodes: ReplicaSet, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "WRITE_MS", WRITE_MS)
    history = History()
    history.raised("pump")
    connection = connect(three_nodes.uri, database)
    store = EventStore(connection)
    await store.create_indexes()
    document, _ = store.encode(history.events[0])
    await asyncio.to_thread(three_nodes.stop_replication)
    try:
        assert await store.insert([document]) == Unknown()
        # Nor that it is there already: the position that the duplicate shows may be taken back.
        assert await store.insert([document]) == Unknown()
    finally:
        await asyncio.to_thread(three_nodes.heal)
    assert await store.insert([document]) == Duplicate(0, "position")
    connection.client.close()

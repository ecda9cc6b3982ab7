"""What is written and not majority-committed is shown to nobody: a failover would take it back."""

import asyncio

import pytest
from pymongo import WriteConcern

from adapters.mongo.client import connect
from adapters.mongo.codec import event_document
from adapters.mongo.log import MongoLog
from adapters.mongo.store import EVENTS, EventStore
from tests.kit.history import History
from tests.kit.replicasets import ReplicaSet

pytestmark = pytest.mark.faults


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
        assert await store.find(event.event_id) is None
        assert await store.stamps(1, 10) == []
    finally:
        await asyncio.to_thread(three_nodes.heal)
    assert (await log.tail()).position == 1
    connection.client.close()

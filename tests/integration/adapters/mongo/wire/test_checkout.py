"""The private parts of PyMongo that held connections rest on: if this fails, PyMongo has changed them."""

import inspect
from importlib.metadata import version
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.errors import ConfigurationError

from adapters.mongo.client import Database, connect
from adapters.mongo.wire import checkout
from adapters.mongo.wire.checkout import HAS_PARTS, Checkout, check_fit
from adapters.mongo.wire.held_connections import HeldConnections
from tests.kit.replicasets import ReplicaSet

CHANGED = (
    f"PyMongo {version('pymongo')} changed what adapters/mongo/wire/checkout.py uses: commands go through the"
    " driver's threads. Adapt that file, run tests/integration/adapters/mongo and tests/faults, move the pin."
)


def test_the_private_parts_are_there() -> None:
    assert HAS_PARTS, CHANGED


def test_they_take_the_same_arguments() -> None:
    taken = {
        name: list(inspect.signature(getattr(MongoClient, name)).parameters)[:4]
        for name in ("_select_server", "_checkout", "_process_response", "_send_cluster_time")
    }
    assert taken == {
        "_select_server": ["self", "server_selector", "session", "operation"],
        "_checkout": ["self", "server", "session"],
        "_process_response": ["self", "reply", "session"],
        "_send_cluster_time": ["self", "command", "session"],
    }, CHANGED


async def test_a_connection_is_taken_out_of_its_pool_and_given_back(connected: Database) -> None:
    await connected.command("ping")
    client = connected.client.delegate
    taken = Checkout(client)
    (pool,) = (server.pool for server in client._topology._servers.values())
    assert taken.current, CHANGED
    assert pool.active_sockets == pool.requests == 1, CHANGED
    taken.give_back(None)
    assert pool.active_sockets == pool.requests == len(pool.conns) == 0, CHANGED


async def test_a_connection_is_current_until_its_pool_is_cleared(connected: Database) -> None:
    taken = Checkout(connected.client.delegate)
    before = taken.current
    for server in connected.client.delegate._topology._servers.values():
        server.pool.reset()
    assert (before, taken.current) == (True, False), CHANGED
    taken.give_back(None)


async def test_a_connection_is_not_current_when_it_idled_too_long(
    replica_set: ReplicaSet, database: str
) -> None:
    connected = connect(f"{replica_set.uri}&maxIdleTimeMS=1", database)
    taken = Checkout(connected.client.delegate)
    while taken.current:
        pass
    taken.give_back(None)
    connected.client.close()


@pytest.mark.parametrize("option", ["timeoutMS=5000", "compressors=zlib"])
async def test_what_a_held_connection_lacks_is_left_to_the_driver(
    replica_set: ReplicaSet, database: str, option: str
) -> None:
    connected = connect(f"{replica_set.uri}&{option}", database)
    held = HeldConnections(connected)
    assert (await held.run({"ping": 1}))["ok"]
    async with held.session() as run:
        assert (await run({"ping": 1}, connected.codec_options))["ok"]
    with pytest.raises(ConfigurationError):
        _check(connected)
    await held.close()
    connected.client.close()


async def test_another_pymongo_is_left_to_the_driver(
    connected: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkout, "HAS_PARTS", False)
    held = HeldConnections(connected)
    assert (await held.run({"ping": 1}))["ok"]
    await held.close()


def _check(connected: Any) -> None:
    check_fit(connected.client.delegate)
    Checkout(connected.client.delegate)

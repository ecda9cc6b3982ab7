"""The fixtures that stand on the kit; `pytest_plugins = ["tests.kit.fixtures"]` takes them in.

Each worker of pytest-xdist starts its own. A test may break what it was given: it is healed before the next.
"""

import uuid
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import suppress

import pytest
import pytest_asyncio
from pymongo.errors import OperationFailure

from adapters.mongo.client import Database, connect
from adapters.mongo.wire.held_connections import HeldConnections
from tests.kit.mongods import Mongod
from tests.kit.processes import started
from tests.kit.replicasets import ReplicaSet
from tests.kit.waiting import NeverHappened

_deployments: list[ReplicaSet | Mongod] = []
"""What runs in this session and may hold databases of tests."""


@pytest.fixture(scope="session")
def _replica_set(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReplicaSet]:
    with ReplicaSet(tmp_path_factory.mktemp("one-node")) as running:
        _deployments.append(running)
        yield running
        _deployments.remove(running)


@pytest.fixture(scope="session")
def _three_nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReplicaSet]:
    # The oplog keeps what came after the last checkpoint, however small it is to be.
    with ReplicaSet(tmp_path_factory.mktemp("three-nodes"), 3, checkpoint_seconds=2) as running:
        _deployments.append(running)
        yield running
        _deployments.remove(running)


@pytest.fixture(scope="session")
def _standalone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mongod]:
    with Mongod(tmp_path_factory.mktemp("standalone")) as running:
        _deployments.append(running)
        yield running
        _deployments.remove(running)


@pytest.fixture
def replica_set(_replica_set: ReplicaSet) -> ReplicaSet:
    """Give a replica set of one node, shared by the session."""
    _replica_set.heal()
    return _replica_set


@pytest.fixture
def mongodb_uri(replica_set: ReplicaSet) -> str:
    """Give the address of the replica set of one node."""
    return replica_set.uri


@pytest.fixture
def three_nodes(_three_nodes: ReplicaSet) -> ReplicaSet:
    """Give a replica set of three nodes, shared by the session, whole whatever the last test did to it."""
    _three_nodes.heal()
    return _three_nodes


@pytest.fixture
def standalone(_standalone: Mongod) -> Mongod:
    """Give a mongod that is in no replica set, shared by the session."""
    _standalone.heal()
    return _standalone


@pytest.fixture
def database() -> Iterator[str]:
    """Give the name of a database of the test's own, wherever it makes it; it is dropped afterwards."""
    name = f"test_{uuid.uuid4().hex}"
    yield name
    for deployment in _deployments:
        _drop(deployment, name)


@pytest_asyncio.fixture
async def connected(mongodb_uri: str, database: str) -> AsyncIterator[Database]:
    """Give a connection to a database of the test's own on the replica set of one node."""
    connection = connect(mongodb_uri, database)
    yield connection
    connection.client.close()


@pytest_asyncio.fixture
async def held(connected: Database) -> AsyncIterator[HeldConnections]:
    """Give what runs commands on the test's own database as production does."""
    held = HeldConnections(connected)
    yield held
    await held.close()


def _drop(deployment: ReplicaSet | Mongod, name: str) -> None:
    # A deployment that the test left broken keeps it: the name is used once, and all ends with the session.
    with suppress(OSError, OperationFailure, NeverHappened):
        node = deployment if isinstance(deployment, Mongod) else deployment.primary(0.0)
        node.drop(name)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show with a failure what the processes said last that may have taken part."""
    report = yield
    if report.failed:
        for process in sorted(started, key=lambda process: process.name):
            if said := process.tail():
                report.sections.append((f"last output of {process.name}", said))
    return report

"""Two identical server processes, which every end-to-end test needs."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from tests.kit.browsers import chromium
from tests.kit.replicasets import ReplicaSet
from tests.kit.servers import TocsinServer

Servers = tuple[TocsinServer, TocsinServer]


@pytest.fixture
def servers(replica_set: ReplicaSet, database: str, tmp_path: Path) -> Iterator[Servers]:
    """Give two running servers on one database of a replica set of one."""
    yield from two_servers(replica_set.uri, database, tmp_path)


@pytest.fixture
def servers_on_three_nodes(three_nodes: ReplicaSet, database: str, tmp_path: Path) -> Iterator[Servers]:
    """Give two running servers on one database of a replica set of three."""
    yield from two_servers(three_nodes.uri, database, tmp_path)


def two_servers(uri: str, database: str, folder: Path) -> Iterator[Servers]:
    """Start two servers; stop them when the generator goes on."""
    with TocsinServer(folder, uri, database) as first, TocsinServer(folder, uri, database) as second:
        yield first, second


@pytest_asyncio.fixture
async def browser() -> AsyncIterator[Browser]:
    """Give a real browser without a window."""
    async with chromium() as running:
        yield running

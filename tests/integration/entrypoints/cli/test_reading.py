"""Commands that read write nothing and create nothing, and do with the role `read`."""

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import AsyncMongoClient
from pymongo.errors import OperationFailure

from tests.kit.members import member
from tests.kit.mongods import Mongod
from tests.kit.processes import Process
from tests.kit.waiting import wait_until

PASSWORD = "secret"
DATABASE = "read"
ALARMS = 3
ENDING = [
    ("verify",),
    ("log", "show"),
    ("outbox", "list"),
    ("replay", "alarms", "--check"),
    ("whatif",),
]
READING = [*ENDING, ("tail", "--after", "0")]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mongod]:
    """Give a replica set of one that asks who one is, with a log that `reader` may read."""
    folder = tmp_path_factory.mktemp("guarded")
    key = folder / "key"
    key.write_text("tocsin" * 10)
    key.chmod(0o600)
    node = Mongod(folder, replica_set="rs")
    node.process.command += ["--keyFile", str(key)]
    with node:
        node.ask({"replSetInitiate": {"_id": "rs", "members": [{"_id": 0, "host": node.address}]}})
        wait_until("it is primary", lambda: (node.hello() or {}).get("isWritablePrimary"))
        asyncio.run(filled(node))
        yield node


async def filled(node: Mongod) -> None:
    wait_until("there is a user", lambda: made_root(node))
    async with AsyncMongoClient[dict[str, Any]](uri_of(node, "root")) as client:
        roles = [{"role": "read", "db": DATABASE}, {"role": "read", "db": "typo"}]
        await client.admin.command("createUser", "reader", pwd=PASSWORD, roles=roles)
    async with member(uri_of(node, "root"), DATABASE) as process:
        for number in range(ALARMS):
            await process.raised(f"pump-{number}")
        assert await process.process.services.projected(ALARMS, 30.0)


def made_root(node: Mongod) -> bool:
    try:
        node.ask({"createUser": "root", "pwd": PASSWORD, "roles": ["root"]})
    except OperationFailure:
        return False
    return True


def uri_of(node: Mongod, user: str) -> str:
    return f"mongodb://{user}:{PASSWORD}@{node.address}/?replicaSet=rs&authSource=admin"


async def state_of(node: Mongod) -> tuple[list[str], Any]:
    """Return the names of all databases, and what each collection of the log's holds."""
    async with AsyncMongoClient[dict[str, Any]](uri_of(node, "root")) as client:
        hashes = await client[DATABASE].command("dbHash")
        return sorted(await client.list_database_names()), hashes["collections"]


def tocsin(folder: Path, node: Mongod, database: str, *arguments: str) -> Process:
    command = [sys.executable, "-m", "entrypoints.cli", *arguments]
    command += ["--mongodb-uri", uri_of(node, "reader"), "--database", database]
    return Process("tocsin", command, folder / "output")


@pytest.mark.parametrize("arguments", ENDING)
async def test_a_reader_may_run_a_command_that_reads_and_it_writes_nothing(
    guarded: Mongod, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    before = await state_of(guarded)
    process = tocsin(tmp_path, guarded, DATABASE, *arguments)
    await asyncio.to_thread(process.start)
    assert (await asyncio.to_thread(process.wait, 120.0), "Traceback" in process.output()) == (0, False)
    if arguments == ("verify",):
        assert f"{ALARMS} events: nothing wrong" in process.output()
    assert await state_of(guarded) == before


async def test_a_reader_may_follow_the_log_and_writes_nothing(guarded: Mongod, tmp_path: Path) -> None:
    before = await state_of(guarded)
    process = tocsin(tmp_path, guarded, DATABASE, "tail", "--after", "0")
    with process:
        await asyncio.to_thread(process.wait_for_line, f"pump-{ALARMS - 1}", 120.0)
    assert await state_of(guarded) == before


@pytest.mark.parametrize("arguments", READING)
async def test_a_database_without_a_log_is_told_in_one_line_and_stays_away(
    guarded: Mongod, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    before = await state_of(guarded)
    process = tocsin(tmp_path, guarded, "typo", *arguments)
    await asyncio.to_thread(process.start)
    assert await asyncio.to_thread(process.wait, 120.0) == 2
    [line] = process.output().splitlines()
    assert line.startswith("tocsin: the database typo holds no log")
    assert await state_of(guarded) == before

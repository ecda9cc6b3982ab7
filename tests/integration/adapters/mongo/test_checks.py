"""Where a process must not start it says why, in one line, with exit code 2; or it sets things right."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import ASCENDING, AsyncMongoClient

from adapters.mongo.checks import check, check_not_sharded, check_version, choose_doorbell
from adapters.mongo.client import Database, connect
from adapters.mongo.log.store import EVENTS, INDEXES
from core.errors import StartupRefused
from entrypoints.process.settings import Settings
from entrypoints.process.storage import storage
from tests.kit.mongods import Mongod
from tests.kit.ports import free_port
from tests.kit.processes import Process

PASSWORD = "secret"
BY_STREAM = [("stream", ASCENDING), ("revision", ASCENDING)]


@pytest.fixture
async def events(connected: Database) -> Any:
    return connected[EVENTS]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mongod]:
    """Give a standalone mongod that asks who one is: `writer` may write, `reader` only read."""
    node = Mongod(tmp_path_factory.mktemp("guarded"))
    node.process.command.append("--auth")
    with node:
        asyncio.run(make_users(node))
        yield node


async def make_users(node: Mongod) -> None:
    node.ask({"createUser": "root", "pwd": PASSWORD, "roles": ["root"]})
    async with AsyncMongoClient[dict[str, Any]](uri_of(node, "root")) as client:
        for name, role in (("writer", "readWrite"), ("reader", "read")):
            roles = [{"role": role, "db": "guarded"}]
            await client.admin.command("createUser", name, pwd=PASSWORD, roles=roles)


def uri_of(node: Mongod, user: str, password: str = PASSWORD) -> str:
    return f"mongodb://{user}:{password}@{node.address}/?directConnection=true&authSource=admin"


async def refused(uri: str, database: str, says: str) -> None:
    with pytest.raises(StartupRefused, match=says) as caught:
        await check(uri, database, "auto")
    assert "\n" not in str(caught.value)


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Process]:
    process = Process("tocsin", [sys.executable, "-m", "entrypoints.cli"], tmp_path / "output")
    yield process
    process.kill()


def run(command: Process, *arguments: str) -> tuple[int, str]:
    """Return the exit code and the one line that it said."""
    command.command += arguments
    command.start()
    status = command.wait(60.0)
    [line] = command.output().splitlines()
    return status, line


class TestServer:
    async def test_a_standalone_gets_local_and_a_replica_set_a_change_stream(
        self, standalone: Mongod, mongodb_uri: str, database: str
    ) -> None:
        assert await check(standalone.uri, database, "auto") == "local"
        assert await check(mongodb_uri, database, "auto") == "changestream"

    async def test_the_redis_doorbell_is_taken_where_it_is_asked_for(
        self, standalone: Mongod, database: str
    ) -> None:
        assert await check(standalone.uri, database, "redis") == "redis"

    async def test_a_change_stream_on_a_standalone_is_refused(
        self, standalone: Mongod, database: str
    ) -> None:
        with pytest.raises(StartupRefused, match="needs a replica set"):
            await check(standalone.uri, database, "changestream")

    async def test_the_local_doorbell_on_a_replica_set_is_refused(
        self, mongodb_uri: str, database: str
    ) -> None:
        with pytest.raises(StartupRefused, match="local is for a standalone"):
            await check(mongodb_uri, database, "local")

    def test_mongos_has_change_streams(self) -> None:
        assert choose_doorbell({"msg": "isdbgrid"}, "auto") == "changestream"

    @pytest.mark.parametrize("version", [[4, 4, 29, 0], [4, 9, 0, 0], [3, 6, 23, 0]])
    def test_an_old_server_is_refused(self, version: list[int]) -> None:
        with pytest.raises(StartupRefused, match=f"MongoDB {version[0]}.{version[1]}.* is too old"):
            check_version(version)

    @pytest.mark.parametrize("version", [[5, 0, 0, 0], [6, 0, 5, 0], [8, 0, 1, 0]])
    def test_a_newer_server_is_not_refused(self, version: list[int]) -> None:
        check_version(version)

    def test_a_sharded_log_is_refused(self) -> None:
        check_not_sharded({"sharded": False})
        check_not_sharded({})
        with pytest.raises(StartupRefused, match="events is sharded"):
            check_not_sharded({"sharded": True})

    async def test_a_capped_log_is_refused(self, connected: Database, mongodb_uri: str) -> None:
        await connected.create_collection(EVENTS, capped=True, size=4096)
        await refused(mongodb_uri, connected.name, "events is a capped collection")

    async def test_a_log_that_is_a_view_is_refused(self, connected: Database, mongodb_uri: str) -> None:
        await connected.create_collection(EVENTS, viewOn="others", pipeline=[])
        await refused(mongodb_uri, connected.name, "events is a view")


class TestUser:
    async def test_a_user_who_may_write_is_welcome(self, guarded: Mongod) -> None:
        async with storage(Settings(mongodb_uri=uri_of(guarded, "writer"), database="guarded")) as store:
            assert (await store.log.tail()).position == 0

    async def test_a_user_who_may_only_read_is_refused(self, guarded: Mongod) -> None:
        await refused(uri_of(guarded, "reader"), "guarded", r"user lacks .* database guarded .*readWrite")

    async def test_a_wrong_password_is_refused(self, guarded: Mongod) -> None:
        await refused(uri_of(guarded, "writer", "guessed"), "guarded", "does not accept the user name or the")

    async def test_a_connection_without_a_user_is_refused(self, guarded: Mongod) -> None:
        await refused(guarded.uri, "guarded", "user lacks rights")


class TestIndexes:
    async def test_missing_indexes_are_made(self, connected: Database, mongodb_uri: str, events: Any) -> None:
        await check(mongodb_uri, connected.name, "auto")
        found = await events.index_information()
        assert {model.document["name"] for model in INDEXES} <= set(found)

    @pytest.mark.parametrize("name", ["stream_revision", "by_hand"])
    async def test_an_index_without_its_uniqueness_is_made_anew(
        self, connected: Database, mongodb_uri: str, events: Any, name: str
    ) -> None:
        await events.create_index(BY_STREAM, name=name)
        await check(mongodb_uri, connected.name, "auto")
        assert (await events.index_information())["stream_revision"]["unique"]

    async def test_a_right_index_by_another_name_that_protects_nothing_is_made_anew(
        self, connected: Database, mongodb_uri: str, events: Any
    ) -> None:
        await events.create_index([("at", ASCENDING), ("_id", ASCENDING)], name="by_hand")
        await check(mongodb_uri, connected.name, "auto")
        found = await events.index_information()
        assert "at_position" in found
        assert "by_hand" not in found

    async def test_an_index_without_its_uniqueness_over_a_duplicate_is_refused(
        self, connected: Database, mongodb_uri: str, events: Any
    ) -> None:
        await events.create_index(BY_STREAM, name="stream_revision")
        await events.insert_many(
            [{"_id": number, "stream": "a", "revision": 1, "event_id": str(number)} for number in (1, 2)]
        )
        await refused(mongodb_uri, connected.name, "events holds duplicates of what must be unique")

    async def test_a_unique_index_that_is_wrong_is_refused(
        self, connected: Database, mongodb_uri: str, events: Any
    ) -> None:
        await events.create_index("tenant", name="stream_revision", unique=True)
        await refused(mongodb_uri, connected.name, "the unique index stream_revision of events")

    async def test_a_strange_unique_index_is_refused(
        self, connected: Database, mongodb_uri: str, events: Any
    ) -> None:
        await events.create_index("type", unique=True)
        await refused(mongodb_uri, connected.name, "the unique index type_1 of events")

    async def test_an_index_that_deletes_events_is_refused(
        self, connected: Database, mongodb_uri: str, events: Any
    ) -> None:
        await events.create_index("at", expireAfterSeconds=60)
        await refused(mongodb_uri, connected.name, "at_1 of events deletes documents")

    async def test_a_strange_index_that_does_no_harm_stays(
        self, connected: Database, mongodb_uri: str, events: Any
    ) -> None:
        await events.create_index("type")
        await check(mongodb_uri, connected.name, "auto")
        assert "type_1" in await events.index_information()

    async def test_a_second_check_finds_nothing_to_do(
        self, connected: Database, mongodb_uri: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        await check(mongodb_uri, connected.name, "auto")
        await check(mongodb_uri, connected.name, "auto")
        assert "dropping" not in caplog.text


class TestCommandLine:
    @pytest.mark.parametrize("uri", ["http://127.0.0.1", "mongodb://", "mongodb://a:b:c@d"])
    def test_a_malformed_uri_is_told_in_one_line(self, command: Process, uri: str) -> None:
        status, line = run(command, "serve", "--mongodb-uri", uri)
        assert (status, line[:39]) == (2, "tocsin: the MongoDB URI cannot be used:")

    def test_a_malformed_database_name_is_told_in_one_line(
        self, command: Process, standalone: Mongod
    ) -> None:
        status, line = run(command, "verify", "--mongodb-uri", standalone.uri, "--database", "a b")
        assert (status, line[:42]) == (2, "tocsin: the database name cannot be used: ")

    def test_a_mongod_that_is_not_there_is_told_in_one_line(self, command: Process) -> None:
        port = free_port()
        status, line = run(command, "verify", "--mongodb-uri", f"mongodb://127.0.0.1:{port}")
        assert status == 2
        assert line.startswith(f"tocsin: MongoDB cannot be reached: 127.0.0.1:{port}: ")
        assert line.endswith("Connection refused")

    def test_a_user_who_may_only_read_is_told_in_one_line(self, command: Process, guarded: Mongod) -> None:
        uri = uri_of(guarded, "reader")
        status, line = run(command, "serve", "--mongodb-uri", uri, "--database", "guarded")
        assert status == 2
        assert "lacks rights that Tocsin needs" in line

    def test_a_redis_feed_without_its_server_is_told_in_one_line(
        self, command: Process, standalone: Mongod, database: str
    ) -> None:
        status, line = run(
            command,
            *("serve", "--mongodb-uri", standalone.uri, "--database", database, "--feed", "redis"),
        )
        assert status == 2
        assert "TOCSIN_REDIS_URL" in line

    def test_a_port_that_is_taken_is_told_in_one_line(
        self, command: Process, mongodb_uri: str, database: str, standalone: Mongod
    ) -> None:
        address = ("--mongodb-uri", mongodb_uri, "--database", database)
        command.command += ["serve", *address, "--port", str(standalone.port)]
        command.start()
        assert command.wait(60.0) == 2
        assert command.output().splitlines()[-1].startswith("tocsin: cannot listen on 127.0.0.1:")


class TestIdentity:
    @pytest.fixture
    async def known(self, standalone: Mongod, database: str) -> AsyncIterator[str]:
        async with storage(Settings(mongodb_uri=standalone.uri, database=database)) as store:
            yield await store.log.identity()

    async def test_show_names_the_logs_identity(
        self, command: Process, standalone: Mongod, database: str, known: str
    ) -> None:
        command.command += ["log", "show", "--mongodb-uri", standalone.uri, "--database", database]
        await asyncio.to_thread(command.start)
        assert await asyncio.to_thread(command.wait) == 0
        assert known in command.output()

    async def test_reset_gives_the_log_another_identity(
        self, command: Process, standalone: Mongod, database: str, known: str
    ) -> None:
        address = ("--mongodb-uri", standalone.uri, "--database", database)
        status, line = await asyncio.to_thread(run, command, "log", "reset-identity", *address)
        connection = connect(standalone.uri, database)
        kept = await connection["meta"].find_one({"_id": "log"})
        connection.client.close()
        assert status == 0
        assert kept is not None
        assert kept["log"] != known
        assert line == f"the log was {known} and is {kept['log']} now"

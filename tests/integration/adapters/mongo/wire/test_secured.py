"""Held connections over TLS and with SCRAM: what the driver set up is what commands go over."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import bson
import pytest
import pytest_asyncio
from pymongo.errors import OperationFailure

from adapters.mongo.client import RAW, Database, connect
from adapters.mongo.wire.checkout import Checkout
from adapters.mongo.wire.held_connections import HeldConnections
from tests.kit.certificates import make_certificates
from tests.kit.mongods import Mongod

PASSWORD = "between us"
LARGE = [bson.encode({"_id": number, "text": "x" * 3_000_000}) for number in range(3)]
"""More than a socket's buffers, and than one record of TLS."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("secured")


@pytest.fixture(scope="module")
def secured(folder: Path) -> Iterator[Mongod]:
    authority, certificate = make_certificates(folder)
    arguments = (
        *("--auth", "--tlsMode", "preferTLS", "--tlsAllowConnectionsWithoutCertificates"),
        *("--tlsCAFile", str(authority), "--tlsCertificateKeyFile", str(certificate)),
    )
    with Mongod(folder / "mongod", arguments=arguments) as running:
        running.ask({"createUser": "tocsin", "pwd": PASSWORD, "roles": ["root"]})
        yield running


@pytest.fixture(params=["SCRAM-SHA-256", "SCRAM-SHA-256 over TLS", "SCRAM-SHA-1 over TLS"])
def uri(request: pytest.FixtureRequest, secured: Mongod, folder: Path) -> str:
    mechanism, _, tls = request.param.partition(" over ")
    encrypted = f"&tls=true&tlsCAFile={folder / 'authority.pem'}" if tls else ""
    password = PASSWORD.replace(" ", "%20")
    return f"mongodb://tocsin:{password}@{secured.address}/?authMechanism={mechanism}{encrypted}"


@pytest_asyncio.fixture
async def connected(uri: str, database: str) -> AsyncIterator[Database]:
    connected = connect(uri, database)
    yield connected
    await connected.client.drop_database(database)
    connected.client.close()


@pytest_asyncio.fixture
async def held(connected: Database) -> AsyncIterator[HeldConnections]:
    held = HeldConnections(connected)
    yield held
    await held.close()


async def insert(held: HeldConnections, documents: list[bytes]) -> Any:
    return await held.run({"insert": "things"}, documents=("documents", documents))


async def test_the_connection_is_held_and_authenticated(
    uri: str, connected: Database, held: HeldConnections
) -> None:
    first = await held.run({"connectionStatus": 1})
    assert [user["user"] for user in first["authInfo"]["authenticatedUsers"]] == ["tocsin"]
    ids = {(await held.run({"hello": 1}))["connectionId"] for _ in range(3)}
    assert len(ids) == 1
    taken = await asyncio.to_thread(Checkout, connected.client.delegate)
    assert isinstance(taken.socket, ssl.SSLSocket) == ("tls=true" in uri)
    taken.give_back(None)


async def test_large_messages_and_answers_arrive_whole(held: HeldConnections) -> None:
    for _ in range(3):
        assert (await insert(held, LARGE))["n"] == len(LARGE)
        found = await held.run({"find": "things", "sort": {"_id": 1}}, RAW)
        assert [document.raw for document in found["cursor"]["firstBatch"]] == LARGE
        await held.run({"drop": "things"})


async def test_commands_side_by_side_are_answered_each_by_its_own(held: HeldConnections) -> None:
    await insert(held, [bson.encode({"_id": number}) for number in range(50)])
    answers = await asyncio.gather(
        *(held.run({"find": "things", "filter": {"_id": number}}) for number in range(50))
    )
    assert [answer["cursor"]["firstBatch"] for answer in answers] == [[{"_id": n}] for n in range(50)]


async def test_a_command_that_is_given_up_closes_its_connection(held: HeldConnections) -> None:
    before = (await held.run({"hello": 1}))["connectionId"]
    sending = asyncio.create_task(insert(held, LARGE))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert (await held.run({"hello": 1}))["connectionId"] != before


async def test_a_wrong_password_is_the_drivers_error(uri: str, database: str) -> None:
    connected = connect(uri.replace("between", "among"), database)
    held = HeldConnections(connected)
    with pytest.raises(OperationFailure) as refused:
        await held.run({"ping": 1})
    assert refused.value.code == 18
    await held.close()
    connected.client.close()

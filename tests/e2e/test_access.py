"""Two real processes with authentication: what is taken back on one holds on the other at once."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.kit.clients import StreamClient, streaming
from tests.kit.mongods import Mongod
from tests.kit.redis import RedisServer
from tests.kit.replicasets import ReplicaSet
from tests.kit.servers import TocsinServer
from tests.kit.tokens import SECRET, bearing, token

pytestmark = pytest.mark.e2e

ENV = {"TOCSIN_AUTH_SECRET": SECRET}
ADMIN = bearing(token("root", "acme", ("admin",)))
RAISE = {"source": "pump-1", "type": "pressure_high", "severity": "major"}
Servers = tuple[TocsinServer, TocsinServer]


@pytest.fixture(params=["changestream", "redis"])
def guarded(request: pytest.FixtureRequest, database: str, tmp_path: Path) -> Iterator[Servers]:
    """Give two servers that want tokens, on a replica set, or on a standalone with Redis between them."""
    if request.param == "changestream":
        replica_set: ReplicaSet = request.getfixturevalue("replica_set")
        yield from _two(replica_set.uri, database, tmp_path)
    else:
        standalone: Mongod = request.getfixturevalue("standalone")
        with RedisServer(tmp_path) as redis:
            options = ("--feed", "redis", "--redis-url", redis.url)
            yield from _two(standalone.uri, database, tmp_path, *options)


def _two(uri: str, database: str, folder: Path, *options: str) -> Iterator[Servers]:
    first = TocsinServer(folder, uri, database, options=options, env=ENV)
    second = TocsinServer(folder, uri, database, options=options, env=ENV)
    with first, second:
        yield first, second


async def test_what_is_taken_back_on_one_process_holds_on_the_other(guarded: Servers) -> None:
    here, there = guarded
    async with here.client() as http, there.client() as other:
        made = (
            await http.post("/v1/api-keys", headers=ADMIN, json={"name": "x", "roles": ["viewer"]})
        ).json()
        key, ann = bearing(made["key"]), bearing(token("ann", "acme", ("viewer",)))
        namesake = bearing(token("ann", "other", ("viewer",)))
        assert (await other.get("/v1/alarms", headers=key)).status_code == 200
        async with (
            streaming(here.ws_url, headers=ann) as near,
            streaming(there.ws_url, headers=ann) as far,
            streaming(there.ws_url, headers=key) as keyed,
            streaming(there.ws_url, headers=namesake) as kept,
        ):
            listed = (await other.get("/v1/sessions", headers=ADMIN)).json()["sessions"]
            assert sorted(each["subject"] for each in listed) == ["ann", "key:x"]
            body = {"subject": "ann", "reason": "shift is over", "revoke": True}
            answer = await http.post("/v1/sessions/disconnect", headers=ADMIN, json=body)
            assert answer.status_code == 202
            assert await near.closed() == await far.closed() == (4403, "shift is over")
            assert (await http.delete(f"/v1/api-keys/{made['id']}", headers=ADMIN)).status_code == 204
            assert await keyed.closed() == (4401, "the API key was revoked")
            await isolated(http, kept)
        for credential in (ann, key):
            assert (await other.get("/v1/alarms", headers=credential)).status_code == 401
        assert (await other.get("/v1/alarms", headers=namesake)).status_code == 200


async def isolated(http: httpx.AsyncClient, client: StreamClient) -> None:
    """Raise an alarm for each of two tenants; only its own reaches the client of the other process."""
    for tenant in ("acme", "other"):
        header = bearing(token("plc", tenant, ("source",)))
        assert (await http.post("/v1/alarms", headers=header, json=RAISE)).status_code == 201
    [event] = await client.until(1)
    assert (event["position"], event["alarm"]["tenant"]) == (2, "other")


async def test_one_process_on_a_standalone_ends_sessions_on_time_and_when_told(
    standalone: Mongod, database: str, tmp_path: Path
) -> None:
    with TocsinServer(tmp_path, standalone.uri, database, env=ENV) as server:
        ends = time.time() + 3
        short = bearing(token("ann", "acme", ("viewer",), seconds=3))
        async with streaming(server.ws_url, headers=short) as client:
            assert await client.closed() == (4401, "expired")
        assert 0 <= time.time() - ends + 0.05 < 2
        minted = bearing(await asyncio.to_thread(mint, "bob", "acme"))
        async with streaming(server.ws_url, headers=minted) as client, server.client() as http:
            body = {"subject": "bob"}
            await http.post("/v1/sessions/disconnect", headers=ADMIN, json=body)
            assert (await client.closed())[0] == 4403
            assert (await http.get("/v1/alarms", headers=minted)).status_code == 200


def mint(sub: str, tenant: str) -> str:
    """Make a token as an administrator does."""
    who = ["--sub", sub, "--tenant", tenant, "--role", "viewer", "--ttl", "5m"]
    command = [sys.executable, "-m", "entrypoints.cli", "token", *who]
    return subprocess.run(command, env=ENV, check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--auth-secret", "x" * 31], "at least 32 bytes"),
        (["--auth-jwks", "/nowhere.json", "--auth-audience", "tocsin"], "No such file"),
        (["--auth-jwks", "http://issuer.example/keys", "--auth-audience", "tocsin"], "https"),
        (["--auth-jwks", "/nowhere.json"], "TOCSIN_AUTH_AUDIENCE"),
        (["--auth-jwks", "/nowhere.json", "--auth-secret", "x" * 32], "not both"),
        (["--host", "0.0.0.0"], "without authentication"),
    ],
)
def test_a_server_that_could_not_keep_anybody_out_does_not_start(options: list[str], says: str) -> None:
    command = [sys.executable, "-m", "entrypoints.cli", "serve", *options]
    ended = subprocess.run(
        command, env={"COLUMNS": "500"}, check=False, capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 2
    assert says in ended.stderr

"""What administrators do leaves a line each on a real process, and nobody forges where it came from."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.kit.replicasets import ReplicaSet
from tests.kit.servers import TocsinServer
from tests.kit.tokens import SECRET, bearing, token

pytestmark = pytest.mark.e2e

ADMIN = bearing(token("root", "acme", ("admin",)))
VIEWER = bearing(token("ann", "acme", ("viewer",)))
ABSENT = "0" * 32
WEBHOOK = {"url": "http://127.0.0.1:9/", "after": "now"}
JSON = {"Content-Type": "application/json"}
FORGED = {"X-Forwarded-For": "203.0.113.7"}


@pytest.fixture
def server(replica_set: ReplicaSet, database: str, tmp_path: Path) -> Iterator[TocsinServer]:
    env = {
        "TOCSIN_AUTH_SECRET": SECRET,
        "TOCSIN_LOG_LEVEL": "error",
        "TOCSIN_WEBHOOK_ALLOW": "127.0.0.1",
        "FORWARDED_ALLOW_IPS": "*",
    }
    with TocsinServer(tmp_path, replica_set.uri, database, env=env) as running:
        yield running


async def lines(server: TocsinServer) -> list[dict[str, Any]]:
    output = await asyncio.to_thread(server.process.output)
    read = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    return [line for line in read if line["logger"] == "tocsin.audit"]


async def test_each_doing_is_told_once_with_who_what_and_how_it_ended(server: TocsinServer) -> None:
    async with server.client() as http:
        made = (await http.post("/v1/api-keys", headers=ADMIN, json={"name": "gate"})).json()
        await http.delete(f"/v1/api-keys/{made['id']}", headers=ADMIN)
        await http.delete(f"/v1/api-keys/{ABSENT}", headers=ADMIN)
        hook = (await http.post("/v1/webhooks", headers=ADMIN, json=WEBHOOK)).json()["webhook"]["id"]
        await http.patch(f"/v1/webhooks/{hook}", headers=ADMIN, json={"rotate": True})
        await http.post(f"/v1/webhooks/{hook}/test", headers=ADMIN)
        await http.delete(f"/v1/webhooks/{hook}", headers=ADMIN)
        await http.post("/v1/sessions/disconnect", headers=ADMIN, json={"subject": "ann"})
        await http.post("/v1/outbox/1:x/retry", headers=ADMIN)
        await http.post("/v1/outbox/retry", headers=ADMIN)
        await http.post("/v1/api-keys", headers={**ADMIN, **JSON}, content=b"{")
        await http.get("/v1/webhooks", headers=ADMIN)
        await http.get("/v1/webhooks", headers=VIEWER)
        await http.delete(f"/v1/webhooks/{hook}", headers=VIEWER)
    told = await lines(server)
    shown = [
        (each["action"], each["subject"], each["object"], each["outcome"], each["code"]) for each in told
    ]
    assert shown == [
        ("create_api_key", "root", made["id"], "done", None),
        ("revoke_api_key", "root", made["id"], "done", None),
        ("revoke_api_key", "root", ABSENT, "failed", "unknown_api_key"),
        ("create_webhook", "root", hook, "done", None),
        ("change_webhook", "root", hook, "done", None),
        ("test_webhook", "root", hook, "done", None),
        ("remove_webhook", "root", hook, "done", None),
        ("disconnect", "root", "ann", "done", None),
        ("retry", "root", "1:x", "failed", "unknown_row"),
        ("retry_all", "root", None, "done", None),
        ("create_api_key", "root", None, "failed", "malformed_json"),
        ("list_webhooks", "ann", None, "refused", "forbidden"),
        ("remove_webhook", "ann", hook, "refused", "forbidden"),
    ]
    assert {(each["tenant"], each["remote"]) for each in told} == {("acme", "127.0.0.1")}
    assert (told[0]["roles"], told[4]["changed"]) == (["source"], ["rotate"])
    assert made["key"] not in json.dumps(told)


@pytest.mark.parametrize(("source", "remote"), [("127.0.0.2", "127.0.0.2"), ("127.0.0.1", "203.0.113.7")])
async def test_a_forwarded_address_is_believed_from_a_trusted_proxy_alone(
    server: TocsinServer, source: str, remote: str
) -> None:
    transport = httpx.AsyncHTTPTransport(local_address=source)
    async with httpx.AsyncClient(base_url=server.url, transport=transport, trust_env=False) as http:
        await http.delete(f"/v1/api-keys/{ABSENT}", headers={**ADMIN, **FORGED})
    assert [each["remote"] for each in await lines(server)] == [remote]

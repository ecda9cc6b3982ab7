"""What a running server shows at /metrics, and what the dashboard and the alert rules ask of it."""

import asyncio
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import entrypoints
from entrypoints.http.routes.metrics import webhook_label
from tests.kit.clients import streaming
from tests.kit.ports import free_port
from tests.kit.replicasets import ReplicaSet
from tests.kit.servers import TocsinServer
from tests.kit.tokens import SECRET, bearing, token

pytestmark = pytest.mark.e2e

DEPLOY = Path(entrypoints.__file__).parent / "deploy"
DASHBOARD = DEPLOY / "grafana-dashboard.json"
RULES = DEPLOY / "prometheus-rules.yml"
NAMED = re.compile(r"\btocsin_[a-z_]+")
SECONDS = 30.0
RAISE = {"source": "pump", "type": "leak", "severity": "major"}


@pytest.fixture
def server(replica_set: ReplicaSet, database: str, tmp_path: Path) -> Iterator[TocsinServer]:
    env = {"TOCSIN_LOG_FORMAT": "json", "TOCSIN_LOG_REQUESTS": "true"}
    with TocsinServer(tmp_path, replica_set.uri, database, env=env) as running:
        yield running


async def scraped(server: TocsinServer) -> str:
    async with server.client() as http:
        return (await http.get("/metrics")).raise_for_status().text


def used() -> set[str]:
    dashboard = json.loads(DASHBOARD.read_text())
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    asked += [line.partition(":")[2] for line in RULES.read_text().splitlines() if "expr:" in line]
    return {name for each in asked for name in NAMED.findall(each)}


async def test_every_hop_is_counted(server: TocsinServer) -> None:
    async with server.client() as http, streaming(server.ws_url) as client:
        for _ in range(2):
            assert (await http.post("/v1/alarms", json=RAISE)).is_success
        assert (await http.get("/v1/nothing-here")).status_code == 404
        await client.until(1)
    text = await scraped(server)
    for line in (
        "tocsin_append_events_total 1.0",
        "tocsin_append_seconds_count 1.0",
        'tocsin_append_batch_events_bucket{le="1.0"} 1.0',
        'tocsin_commands_total{command="Raise",outcome="changed"} 1.0',
        'tocsin_commands_total{command="Raise",outcome="unchanged"} 1.0',
        'tocsin_http_requests_total{method="POST",route="/v1/alarms",status="201"} 1.0',
        'tocsin_http_requests_total{method="GET",route="(none)",status="404"} 1.0',
        "tocsin_feed_position 1.0",
        "tocsin_feed_connected 1.0",
        "tocsin_sessions_opened_total 1.0",
        "tocsin_store_reachable 1.0",
    ):
        assert line in text.splitlines(), line


async def test_a_tenants_reader_sees_no_other_tenants_webhook_by_its_id(
    replica_set: ReplicaSet, database: str, tmp_path: Path
) -> None:
    env, options = {"TOCSIN_AUTH_SECRET": SECRET}, ["--webhook-allow", "127.0.0.0/8"]
    admin, own, stranger = (
        bearing(token("root", "acme", ("admin",))),
        bearing(token("prometheus", "acme", ("viewer",))),
        bearing(token("prometheus", "other", ("viewer",))),
    )
    # Nobody listens there: the row stays in the outbox, and each try is counted.
    receiver = {"url": f"http://127.0.0.1:{free_port()}/"}
    with TocsinServer(tmp_path, replica_set.uri, database, env=env, options=options) as server:
        async with server.client() as http:
            made = (await http.post("/v1/webhooks", headers=admin, json=receiver)).raise_for_status().json()
            (await http.post("/v1/alarms", headers=admin, json=RAISE)).raise_for_status()

            async def shown(reader: dict[str, str]) -> str:
                return (await http.get("/metrics", headers=reader)).raise_for_status().text

            async with asyncio.timeout(SECONDS):
                while "tocsin_webhook_attempts_total{" not in (text := await shown(own)):
                    pass
            other = await shown(stranger)
    webhook = made["webhook"]["id"]
    stand_in = webhook_label(webhook, "acme", "other")
    for figure in ("tocsin_outbox_pending", "tocsin_webhook_attempts_total"):
        assert f'{figure}{{webhook="{webhook}"}}' in text
        assert f'{figure}{{webhook="{stand_in}"}}' in other
    assert webhook not in other


async def test_what_the_dashboard_and_the_rules_name_is_there(server: TocsinServer) -> None:
    text = await scraped(server)
    families = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}
    # A histogram is asked for by the names of its parts.
    known = families | {f"{family}_{part}" for family in families for part in ("bucket", "count", "sum")}
    assert used() <= known
    assert len(used()) > 20


@pytest.mark.skipif(
    shutil.which("promtool") is None and "CI" not in os.environ,
    reason="promtool is not here: Debian has it in prometheus",
)
def test_prometheus_takes_the_rules() -> None:
    checked = subprocess.run(
        ["promtool", "check", "rules", str(RULES)], capture_output=True, text=True, timeout=30, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


async def test_a_request_is_one_line_of_json(server: TocsinServer) -> None:
    async with server.client() as http, streaming(server.ws_url):
        await http.post("/v1/alarms", json=RAISE)
    lines = [json.loads(line) for line in server.process.output().splitlines() if line.startswith("{")]
    requests = [line for line in lines if line.get("event") == "request" and line["path"] == "/v1/alarms"]
    assert [(each["method"], each["status"], each["subject"]) for each in requests] == [
        ("POST", 201, "anonymous")
    ]
    assert requests[0]["ms"] > 0
    assert not [line for line in lines if "WebSocket" in line["event"] or "connection open" in line["event"]]

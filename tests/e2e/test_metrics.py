"""What a running server shows at /metrics, and what the dashboard and the alert rules ask of it."""

import asyncio
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

import entrypoints
from adapters.mongo.client import Database
from adapters.mongo.outbox.webhooks import MongoWebhooks
from core.outbox.webhook import Webhook
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


with_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None and "CI" not in os.environ,
    reason="promtool is not here: Debian has it in prometheus",
)


@with_promtool
def test_prometheus_takes_the_rules() -> None:
    checked = subprocess.run(
        ["promtool", "check", "rules", str(RULES)], capture_output=True, text=True, timeout=30, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


GONE = 'tocsin_webhook_disabled{webhook="pager", reason="HTTP 410"}'
BY_PEOPLE = 'tocsin_webhook_disabled{webhook="pager", reason=""}'
UP, OTHER = 'up{job="tocsin", instance="a"}', 'up{job="tocsin", instance="b"}'


@with_promtool
@pytest.mark.parametrize(
    ("alert", "series", "fires"),
    [
        ("TocsinDown", {UP: "1+0x9"}, False),
        ("TocsinDown", {UP: "0+0x9", OTHER: "1+0x9"}, True),
        ("TocsinAbsent", {UP: "0+0x9", OTHER: "1+0x9"}, False),
        ("TocsinAbsent", {UP: "0+0x9", OTHER: "0+0x9"}, True),
        ("TocsinAbsent", {'up{job="another"}': "1+0x9"}, True),
        ("TocsinWebhookDisabled", {GONE: "1+0x9", UP: "1+0x9"}, True),
        ("TocsinWebhookDisabled", {GONE: "0+0x9", UP: "1+0x9"}, False),
        ("TocsinWebhookDisabled", {BY_PEOPLE: "1+0x9", UP: "1+0x9"}, False),
    ],
)
def test_a_rule_fires_when_it_should(tmp_path: Path, alert: str, series: dict[str, str], fires: bool) -> None:
    found = f'count(ALERTS{{alertname="{alert}", alertstate="firing"}}) or vector(0)'
    expected = [{"labels": "{}", "value": int(fires)}]
    test = {
        "interval": "30s",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [{"expr": found, "eval_time": "3m", "exp_samples": expected}],
    }
    # YAML takes JSON.
    case = tmp_path / "case.yml"
    case.write_text(json.dumps({"rule_files": [str(RULES)], "tests": [test]}))
    checked = subprocess.run(
        ["promtool", "test", "rules", str(case)], capture_output=True, text=True, timeout=60, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


async def test_a_disabled_webhook_is_shown_with_its_reason(server: TocsinServer, connected: Database) -> None:
    disabled = Webhook(
        id="pager",
        tenant="default",
        url="https://example.org/hook",
        format="slack",
        enabled=False,
        disabled_reason="HTTP 410",
        created_at=datetime.now(UTC),
    )
    assert await MongoWebhooks(connected).add(disabled)
    line = 'tocsin_webhook_disabled{reason="HTTP 410",webhook="pager"} 1.0'
    assert line in (await scraped(server)).splitlines()


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

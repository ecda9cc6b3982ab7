"""A real Alertmanager tells one process; a WebSocket client of the other sees it."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.e2e.conftest import Servers
from tests.kit.alerts import Alertmanager, Prometheus
from tests.kit.clients import streaming
from tests.kit.web import Exporter

pytestmark = pytest.mark.e2e

LABELS = {"alertname": "DiskFull", "instance": "db-1", "severity": "warning", "mount": "/data"}


async def fire_and_resolve(servers: Servers, folder: Path) -> None:
    called, other = servers
    webhook = f"{called.url}/v1/ingest/alertmanager"
    with Alertmanager(folder / "alertmanager", webhook) as alertmanager:
        async with streaming(other.ws_url) as client:
            began = datetime.now(UTC)
            alertmanager.post(LABELS, annotations={"summary": "95 % used"}, starts_at=began)
            [fired] = await client.until(1)
            alertmanager.post(LABELS, starts_at=began, ends_at=datetime.now(UTC))
            _, resolved = await client.until(2)
    assert (fired["position"], fired["type"], fired["alarm"]["severity"]) == (1, "alarm.raised", "warning")
    assert (fired["alarm"]["source"], fired["alarm"]["text"]) == ("db-1", "95 % used")
    assert (resolved["position"], resolved["type"]) == (2, "alarm.cleared")
    async with other.client() as http:
        listed = (await http.get("/v1/alarms", params={"min_position": 2})).json()
    assert [(alarm["type"], alarm["state"]) for alarm in listed["alarms"]] == [("DiskFull", "rtn_unacked")]


async def test_alerts_reach_a_client_of_the_other_process_firing_and_resolved(
    servers: Servers, tmp_path: Path
) -> None:
    await fire_and_resolve(servers, tmp_path)


async def test_alerts_reach_a_client_of_the_other_process_on_three_nodes(
    servers_on_three_nodes: Servers, tmp_path: Path
) -> None:
    await fire_and_resolve(servers_on_three_nodes, tmp_path)


async def test_a_rule_of_prometheus_raises_an_alarm_and_clears_it(servers: Servers, tmp_path: Path) -> None:
    called, other = servers
    webhook = f"{called.url}/v1/ingest/alertmanager"
    with (
        Exporter() as exporter,
        Alertmanager(tmp_path / "alertmanager", webhook) as alertmanager,
        Prometheus(tmp_path / "prometheus", exporter, alertmanager),
    ):
        async with streaming(other.ws_url) as client:
            exporter.value = 1
            [fired] = await client.until(1)
            exporter.value = 0
            _, resolved = await client.until(2)
    assert (fired["alarm"]["type"], fired["alarm"]["severity"]) == ("Pressure", "critical")
    assert (resolved["type"], resolved["alarm"]["active"]) == ("alarm.cleared", False)

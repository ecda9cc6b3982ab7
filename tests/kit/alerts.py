"""A real Alertmanager that posts to a webhook, and a Prometheus with a rule that the test controls."""

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from tests.kit.ports import free_port
from tests.kit.processes import Process, program
from tests.kit.running import START_SECONDS, Running
from tests.kit.web import Exporter

TICK = "200ms"
"""How often Prometheus scrapes and evaluates."""


class Alertmanager(Running):
    """A prometheus-alertmanager that tells one webhook what changes, almost at once."""

    def __init__(
        self, folder: Path, webhook: str, *, group_by: str = "alertname", group_interval: str = "200ms"
    ) -> None:
        """Take a folder for its data and the address to post to.

        Alerts that agree in the label `group_by` ("..." for all labels) arrive in one body; what changes
        in a group arrives after `group_interval` at the latest.
        """
        self.port = free_port()
        folder.mkdir(parents=True, exist_ok=True)
        route = {
            "receiver": "webhook",
            "group_by": [group_by],
            "group_wait": "0s",
            "group_interval": group_interval,
            "repeat_interval": "4h",
        }
        receiver = {"name": "webhook", "webhook_configs": [{"url": webhook, "send_resolved": True}]}
        command = [
            program("prometheus-alertmanager", "alertmanager"),
            f"--config.file={write_yaml(folder / 'alertmanager.yml', route=route, receivers=[receiver])}",
            f"--storage.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--cluster.listen-address=",
            "--log.level=debug",
        ]
        self.process = Process(f"alertmanager:{self.port}", command, folder / "alertmanager.log")

    @property
    def url(self) -> str:
        """Where it is, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    def wait_until_ready(self, seconds: float = START_SECONDS) -> None:
        """Wait until GET /-/ready answers 200."""
        self.process.wait_for_url(f"{self.url}/-/ready", seconds)

    def post(
        self,
        labels: Mapping[str, str],
        *,
        annotations: Mapping[str, str] | None = None,
        starts_at: datetime | None = None,
        ends_at: datetime | None = None,
    ) -> None:
        """Post one alert, as Prometheus does; it is resolved once `ends_at` has passed.

        Times with a zone. Default: since now, and firing until it is posted with an end (or for 5 minutes).
        """
        alert: dict[str, Any] = {"labels": dict(labels), "annotations": dict(annotations or {})}
        if starts_at is not None:
            alert["startsAt"] = starts_at.isoformat()
        if ends_at is not None:
            alert["endsAt"] = ends_at.isoformat()
        answer = httpx.post(f"{self.url}/api/v2/alerts", json=[alert], timeout=10.0, trust_env=False)
        answer.raise_for_status()


class Prometheus(Running):
    """A prometheus with one rule, which fires while the gauge of the exporter is not 0."""

    def __init__(
        self,
        folder: Path,
        exporter: Exporter,
        alertmanager: Alertmanager,
        *,
        alertname: str = "Pressure",
        labels: Mapping[str, str] | None = None,
    ) -> None:
        """Take a folder for its data, what it scrapes, and whom it tells."""
        self.port = free_port()
        folder.mkdir(parents=True, exist_ok=True)
        rule = {
            "alert": alertname,
            "expr": f"{exporter.name} != 0",
            "labels": dict(labels or {"severity": "critical"}),
            "annotations": {"summary": "the gauge of the test is {{ $value }}"},
        }
        rules = write_yaml(folder / "rules.yml", groups=[{"name": "kit", "rules": [rule]}])
        config = write_yaml(
            folder / "prometheus.yml",
            **{
                "global": {"scrape_interval": TICK, "scrape_timeout": TICK, "evaluation_interval": TICK},
                "rule_files": [str(rules)],
                "scrape_configs": [{"job_name": "kit", "static_configs": [{"targets": [exporter.address]}]}],
                "alerting": {
                    "alertmanagers": [{"static_configs": [{"targets": [f"127.0.0.1:{alertmanager.port}"]}]}]
                },
            },
        )
        command = [
            program("prometheus"),
            f"--config.file={config}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
        ]
        self.process = Process(f"prometheus:{self.port}", command, folder / "prometheus.log")

    @property
    def url(self) -> str:
        """Where it is, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    def wait_until_ready(self, seconds: float = START_SECONDS) -> None:
        """Wait until GET /-/ready answers 200."""
        self.process.wait_for_url(f"{self.url}/-/ready", seconds)


def write_yaml(path: Path, **content: Any) -> Path:
    """Write a file as JSON, which is YAML too."""
    path.write_text(json.dumps(content, indent=1))
    return path

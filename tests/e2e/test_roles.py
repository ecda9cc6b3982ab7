"""Processes that only serve, and one that only works."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from adapters.mongo.client import Database
from adapters.mongo.log.store import EVENTS
from tests.kit.mongods import Mongod
from tests.kit.servers import TocsinServer
from tests.kit.waiting import POLL_SECONDS

pytestmark = pytest.mark.e2e

SECONDS = 20.0
RAISE = {"source": "pump-1", "type": "pressure_high", "severity": "major"}
ROLE = "tocsin_projection_lag_positions"


async def test_a_worker_projects_what_a_server_records(
    tmp_path: Path, mongodb_uri: str, database: str
) -> None:
    api = TocsinServer(tmp_path, mongodb_uri, database, options=("--role", "api"))
    with api:
        async with api.client() as http:
            position = (await http.post("/v1/alarms", json=RAISE)).json()["position"]
            # Nobody projects yet; the alarm itself is there all the same.
            assert (await http.get("/v1/alarms")).json()["alarms"] == []
            assert "projector: leading" not in await asyncio.to_thread(api.process.output)
            worker = TocsinServer(tmp_path, mongodb_uri, database, env={"TOCSIN_ROLE": "worker"})
            with worker:
                listed = (await http.get("/v1/alarms", params={"min_position": position})).json()
                assert [alarm["source"] for alarm in listed["alarms"]] == ["pump-1"]
                async with worker.client() as of_worker:
                    assert (await of_worker.get("/v1/alarms")).status_code == 404
                    assert ROLE in (await of_worker.get("/metrics")).text


async def test_a_server_without_a_worker_says_so_and_stays_ready(
    tmp_path: Path, mongodb_uri: str, database: str, connected: Database
) -> None:
    api = TocsinServer(tmp_path, mongodb_uri, database, options=("--role", "api"))
    with api:
        async with api.client() as http:
            assert (await http.post("/v1/alarms", json=RAISE)).status_code == 201
            long_ago = datetime.now(UTC) - timedelta(minutes=1)
            await connected[EVENTS].update_one({"_id": 1}, {"$set": {"at": long_ago}})
            # What it tells may be a second old.
            async with asyncio.timeout(SECONDS):
                while not (ready := await http.get("/readyz")).json()["warnings"]:
                    await asyncio.sleep(POLL_SECONDS)
    assert (ready.status_code, ready.json()["status"], ready.json()["reasons"]) == (200, "ready", [])
    assert [warning.partition(" is ")[0] for warning in ready.json()["warnings"]] == [
        "the projection alarms",
        "the projection kpis",
    ]


def test_on_a_standalone_a_process_has_no_other_role(
    tmp_path: Path, standalone: Mongod, database: str
) -> None:
    server = TocsinServer(tmp_path, standalone.uri, database, options=("--role", "api"))
    server.process.start()
    assert server.process.wait() == 2
    assert "its role cannot be api" in server.process.output()

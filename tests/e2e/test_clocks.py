"""Real processes on machines whose clocks are wrong, by libfaketime."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.kit.clocks import shifted
from tests.kit.mongods import Mongod
from tests.kit.replicasets import ReplicaSet
from tests.kit.servers import TocsinServer

pytestmark = pytest.mark.e2e

RAISE = {"source": "boiler-7", "type": "overpressure", "severity": "major"}
TEN_YEARS = timedelta(days=3650).total_seconds()
ERROR = timedelta(seconds=1)
"""What a reading of MongoDB's clock may be wrong by, on a busy machine."""


def events(node: Mongod, database: str) -> int:
    return int(node.ask({"count": "events"}, database=database)["n"])


async def test_a_process_ten_years_ahead_records_nothing_ends_no_shelf_and_says_why(
    replica_set: ReplicaSet, database: str, tmp_path: Path
) -> None:
    right = TocsinServer(tmp_path, replica_set.uri, database)
    with right.process:
        await asyncio.to_thread(right.wait_until_ready)
        async with right.client() as http:
            alarm = (await http.post("/v1/alarms", json=RAISE)).json()["alarm"]["id"]
            await http.post(f"/v1/alarms/{alarm}/shelve", json={"seconds": 3_600})
    wrong = TocsinServer(tmp_path, replica_set.uri, database, env=shifted(TEN_YEARS))
    with wrong.process:
        await asyncio.to_thread(wrong.process.wait_for_url, f"{wrong.url}/healthz", 60.0)
        async with wrong.client() as http:
            answer = await http.post("/v1/alarms", json=RAISE | {"source": "boiler-8"})
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
            assert "s ahead of MongoDB's" in answer.json()["detail"]
            ready = await http.get("/readyz")
            assert ready.status_code == 503
            assert any("s ahead of MongoDB's" in reason for reason in ready.json()["reasons"])
            shown = (await http.get(f"/v1/alarms/{alarm}")).json()
        assert shown["state"] == "shelved"
        assert "deadlines: leading" not in wrong.process.output()
    assert events(replica_set.nodes[0], database) == 2


@pytest.mark.parametrize("seconds", [3.0, -TEN_YEARS])
async def test_what_is_recorded_has_mongodbs_time(
    replica_set: ReplicaSet, database: str, tmp_path: Path, seconds: float
) -> None:
    server = TocsinServer(tmp_path, replica_set.uri, database, env=shifted(seconds))
    with server.process:
        await asyncio.to_thread(server.wait_until_ready)
        async with server.client() as http:
            before = datetime.now(UTC)
            alarm = (await http.post("/v1/alarms", json=RAISE)).json()["alarm"]
            after = datetime.now(UTC)
    assert before - ERROR <= datetime.fromisoformat(alarm["updated_at"]) <= after + ERROR

"""MongoDB may be away when a process starts: the process waits for it, and says so."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.kit.mongods import Mongod, mongod_program
from tests.kit.ports import free_port
from tests.kit.processes import Process
from tests.kit.servers import TocsinServer
from tests.kit.waiting import eventually

pytestmark = pytest.mark.e2e

CHILD = re.compile(r"process (\d) has pid (\d+)")


@pytest.fixture
def mongod(tmp_path: Path) -> Iterator[Mongod]:
    """Give a mongod of the test's own, not yet started, which ends with the test."""
    node = Mongod(tmp_path / "mongod")
    yield node
    node.kill()


def readiness(server: TocsinServer) -> httpx.Response | None:
    try:
        return httpx.get(f"{server.url}/readyz", trust_env=False)
    except httpx.TransportError:
        return None


def waiting(server: TocsinServer) -> httpx.Response:
    """Wait until the server answers that it waits for MongoDB."""
    return server.process.wait_until("it waits", lambda: readiness(server), 30.0)


def test_a_process_waits_for_mongodb_and_says_so(mongod: Mongod, database: str, tmp_path: Path) -> None:
    server = TocsinServer(tmp_path, mongod.uri, database)
    with server.process:
        answer = waiting(server)
        assert answer.status_code == 503
        [reason] = answer.json()["reasons"]
        assert reason.startswith("waiting for MongoDB: MongoDB cannot be reached: ")
        assert "Connection refused" in reason
        assert httpx.get(f"{server.url}/healthz", trust_env=False).status_code == 200
        refused = httpx.post(f"{server.url}/v1/alarms", json={}, trust_env=False)
        assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
        said = server.process.output()
        assert "Traceback" not in said
        assert "Topology" not in said
        mongod.start()
        server.wait_until_ready()
        body = {"source": "pump", "type": "leak", "severity": "major"}
        assert httpx.post(f"{server.url}/v1/alarms", json=body, trust_env=False).status_code == 201
        assert server.terminate() == 0


def test_a_signal_ends_a_process_that_waits_for_mongodb(
    mongod: Mongod, database: str, tmp_path: Path
) -> None:
    server = TocsinServer(tmp_path, mongod.uri, database)
    with server.process:
        waiting(server)
        # Sooner than the try that is under way would end.
        assert server.terminate(4.0) == 0


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--mongodb-uri", "mongodb://"), "the MongoDB URI cannot be used"),
        (("--role", "api"), "its role cannot be api"),
    ],
)
def test_settings_that_cannot_work_end_a_process_with_one_line(
    standalone: Mongod, database: str, tmp_path: Path, options: tuple[str, ...], says: str
) -> None:
    server = TocsinServer(tmp_path, standalone.uri, database, options=options)
    server.process.start()
    assert server.process.wait(30.0) == 2
    [line] = server.process.output().splitlines()
    assert says in line


async def test_a_child_that_dies_while_mongodb_is_away_ends_no_other(
    mongod: Mongod, database: str, tmp_path: Path
) -> None:
    options = ["--processes", "3", "--feed", "redis", "--redis-url", "redis://127.0.0.1:1"]
    server = TocsinServer(tmp_path, mongod.uri, database, options=options)
    await asyncio.to_thread(mongod.start)

    def children() -> dict[int, int]:
        return {int(index): int(pid) for index, pid in CHILD.findall(server.process.output())}

    with server.process:
        await eventually("three starts", lambda: server.process.output().count("Tocsin is at") == 3, 60.0)
        before = children()
        mongod.kill()
        os.kill(before[1], signal.SIGKILL)
        await eventually(
            "another child waits", lambda: "waiting for MongoDB" in server.process.output(), 60.0
        )
        assert [index for index, pid in children().items() if pid == before[index]] == [0, 2]
        await asyncio.to_thread(mongod.start)
        await eventually("a fourth start", lambda: server.process.output().count("Tocsin is at") == 4, 60.0)
        assert {index for index, pid in children().items() if pid == before[index]} == {0, 2}
        assert await asyncio.to_thread(server.terminate) == 0


def test_the_mongod_of_up_that_is_killed_is_started_again(tmp_path: Path) -> None:
    port = free_port()
    url, data = f"http://127.0.0.1:{port}", tmp_path / "data"
    command = [sys.executable, "-m", "entrypoints.cli", "up", "--port", str(port), "--data", str(data)]
    with Process("tocsin up", [*command, "--mongod", str(mongod_program())], tmp_path / "output") as process:
        process.wait_for_url(f"{url}/readyz", 120.0)
        os.kill(int((data / "db" / "mongod.lock").read_text()), signal.SIGKILL)
        process.wait_for_line("ended with status -9; its log, .*mongod.log", 60.0)
        process.wait_for_line("runs again", 60.0)
        process.wait_for_url(f"{url}/readyz", 60.0)
        body = {"source": "pump", "type": "leak", "severity": "major"}
        assert httpx.post(f"{url}/v1/alarms", json=body, trust_env=False).status_code == 201
        assert process.terminate(60.0) == 0

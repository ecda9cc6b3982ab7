"""The browser's client in Node: its own tests, and against real servers of which one is killed."""

import asyncio
import json
import subprocess
from pathlib import Path

import pytest

from tests.e2e.conftest import Servers
from tests.kit.bursts import burst
from tests.kit.node import node
from tests.kit.processes import REPOSITORY, Process
from tests.kit.waiting import eventually

pytestmark = pytest.mark.e2e

SCRIPTS = REPOSITORY / "tests" / "e2e" / "console"


def test_the_javascript_clients_own_tests_pass() -> None:
    command = [node(), "--test", *map(str, sorted(SCRIPTS.glob("*.test.mjs")))]
    ran = subprocess.run(command, check=False, timeout=60, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout


async def test_a_server_killed_in_a_burst_is_not_noticed_by_its_clients_handlers(
    servers: Servers, tmp_path: Path
) -> None:
    command = [node(), str(SCRIPTS / "follow.mjs"), *(server.ws_url for server in servers)]
    with Process("follower", command, tmp_path / "follower.log") as follower:
        await asyncio.to_thread(follower.wait_for_line, '"subscribed"')
        answered = await burst(servers, servers[0].kill)
        last = max(answered)
        await eventually("the last event", lambda: f'["event",{last}]' in follower.output())
        told = [json.loads(line) for line in follower.output().splitlines() if line.endswith("]")]
    seen = [message[1] for message in told if message[0] == "event"]
    assert ["waiting"] in told, "it was never connected to the server that was killed"
    assert set(answered) <= set(seen)
    assert seen == list(range(1, len(seen) + 1))

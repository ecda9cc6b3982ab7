"""Nothing lost, invented, repeated or out of order, whatever fails.

TOCSIN_FAULT_SECONDS and TOCSIN_FAULT_SEED say how long the long run is, and which it is.
"""

import os
from pathlib import Path

import pytest

from tests.faults.faults import FAULTS
from tests.faults.peers import appender_paused, peers_cut, peers_silent
from tests.faults.run import run
from tests.kit.clocks import shifted
from tests.kit.replicasets import ReplicaSet

pytestmark = pytest.mark.faults

SECONDS = float(os.environ.get("TOCSIN_FAULT_SECONDS", "180"))
SEED = int(os.environ.get("TOCSIN_FAULT_SEED", "1"))
OUTSIDE_SECONDS = 300.0
"""How long a run may take that starts a server anew, or waits for a webhook's retries."""
SHORT = [
    "primary_killed",
    "replication_stopped",
    "answer_swallowed",
    "request_postponed",
    "server_killed",
    "change_stream_killed",
]


async def shown(nodes: ReplicaSet, database: str, folder: Path, faults: list[str], seconds: float) -> None:
    verdict = await run(nodes, database, folder, faults, seed=SEED, seconds=seconds)
    print(f"\n{verdict.table()}")  # noqa: T201 (the table is what a run is for)
    assert not verdict.violations, verdict.table()
    assert not verdict.wrong, verdict.table()


async def test_one_round_of_a_few_faults_loses_nothing(
    three_nodes: ReplicaSet, database: str, tmp_path: Path
) -> None:
    await shown(three_nodes, database, tmp_path, SHORT, 0.0)


@pytest.mark.timeout(OUTSIDE_SECONDS)
async def test_an_appender_that_hangs_or_is_cut_off_from_its_peers_loses_nothing(
    three_nodes: ReplicaSet, database: str, tmp_path: Path
) -> None:
    faults = [each.__name__ for each in (appender_paused, peers_cut, peers_silent)]
    await shown(three_nodes, database, tmp_path, faults, 0.0)


@pytest.mark.timeout(OUTSIDE_SECONDS)
async def test_a_process_whose_clock_is_ahead_commits_nothing(
    three_nodes: ReplicaSet, database: str, tmp_path: Path
) -> None:
    await shown(three_nodes, database, tmp_path, ["clock_ahead"], 0.0)


@pytest.mark.timeout(OUTSIDE_SECONDS)
async def test_readers_that_never_read_lose_nothing(
    three_nodes: ReplicaSet, database: str, tmp_path: Path
) -> None:
    await shown(three_nodes, database, tmp_path, ["readers_that_never_read"], 0.0)


@pytest.mark.timeout(OUTSIDE_SECONDS)
async def test_a_receiver_from_hell_loses_nothing(
    three_nodes: ReplicaSet, database: str, tmp_path: Path
) -> None:
    await shown(three_nodes, database, tmp_path, ["receiver_from_hell"], 0.0)


@pytest.mark.long
@pytest.mark.timeout(SECONDS + 900)
async def test_every_fault_again_and_again_loses_nothing(
    three_nodes: ReplicaSet, database: str, tmp_path: Path
) -> None:
    shifted(0.0)  # Skips without libfaketime: a run that leaves a fault out proves less than it says.
    await shown(three_nodes, database, tmp_path, list(FAULTS), SECONDS)

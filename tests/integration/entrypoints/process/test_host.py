"""What the machine tells: the time, ids, chance."""

import asyncio
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from entrypoints.process.host import MACHINE, SLEEP_SECONDS
from tests.kit.hosts import StandingClock
from tests.kit.jumping import run
from tests.kit.processes import REPOSITORY

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("moment", "slept"),
    [
        (NOON + timedelta(seconds=7), 7.0),
        (NOON, 0.0),
        (NOON - timedelta(days=1), 0.0),
        (NOON + timedelta(days=1), SLEEP_SECONDS),
        (None, SLEEP_SECONDS),
    ],
)
def test_the_clock_sleeps_until_the_moment_but_no_longer_than_it_may_be_trusted(
    moment: datetime | None, slept: float
) -> None:
    async def test() -> None:
        await StandingClock(NOON).sleep_until(moment)
        assert asyncio.get_running_loop().time() == slept

    run(test)


def test_the_machines_time_is_utc() -> None:
    before = datetime.now(UTC)
    assert before <= MACHINE.clock.now() <= datetime.now(UTC)
    assert MACHINE.clock.now().tzinfo is UTC


def test_ids_are_uuids_of_version_7_and_none_comes_twice() -> None:
    minted = [MACHINE.ids.new() for _ in range(1_000)]
    assert len(set(minted)) == len(minted)
    assert {UUID(each).version for each in minted} == {7}


def test_secrets_have_256_bits_and_none_comes_twice() -> None:
    drawn = [MACHINE.ids.secret() for _ in range(100)]
    assert len(set(drawn)) == len(drawn)
    assert {len(each) for each in drawn} == {32}


def test_chance_is_at_least_0_and_less_than_1() -> None:
    drawn = [MACHINE.chance() for _ in range(1_000)]
    assert all(0 <= each < 1 for each in drawn)
    assert len(set(drawn)) > 1


def test_two_starts_of_one_host_and_pid_are_two_holders_of_leases() -> None:
    script = "import os; os.getpid = lambda: 1; from entrypoints.process.host import holder; "
    script += "print(holder(), holder())"
    names = [
        subprocess.run(
            [sys.executable, "-c", script], check=True, capture_output=True, text=True, cwd=REPOSITORY
        ).stdout.split()
        for _ in range(2)
    ]
    assert all(first == second for first, second in names)
    assert names[0] != names[1]

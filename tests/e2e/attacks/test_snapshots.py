"""Snapshots that nobody reads, in many subscriptions of many sessions of one viewer."""

import pytest

from tests.e2e.attacks.conftest import TIMEOUT_SECONDS, Victim
from tests.kit.attackers.seeding import raise_alarms
from tests.kit.attackers.sessions import hoard_snapshots

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(TIMEOUT_SECONDS)]

TEXT = "x" * 2_000


async def test_a_few_sessions_that_hoard_snapshots_harm_nobody(victim: Victim) -> None:
    await raise_alarms(victim.server, 1_500, TEXT)
    await victim.bears(lambda target: hoard_snapshots(target, 5.0, sessions=16))


@pytest.mark.long
async def test_forty_sessions_that_hoard_snapshots_harm_nobody(victim: Victim) -> None:
    await raise_alarms(victim.server, 4_000, TEXT)
    await victim.bears(lambda target: hoard_snapshots(target, 20.0))

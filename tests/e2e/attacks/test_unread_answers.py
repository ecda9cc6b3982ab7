"""Answers that nobody reads: exports, event streams, pages of the log."""

import pytest

from tests.e2e.attacks.conftest import TIMEOUT_SECONDS, Victim
from tests.kit.attackers.readers import leave_events, leave_exports, leave_streams
from tests.kit.attackers.seeding import raise_alarms

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(TIMEOUT_SECONDS)]

TEXT = "x" * 3_000
ALARMS = 3_000


async def test_exports_that_nobody_reads_harm_nobody(victim: Victim) -> None:
    await raise_alarms(victim.server, ALARMS, TEXT)
    await victim.bears(lambda target: leave_exports(target, 5.0, 40))


async def test_event_streams_that_nobody_reads_harm_nobody(victim: Victim) -> None:
    await raise_alarms(victim.server, ALARMS, TEXT)
    await victim.bears(lambda target: leave_streams(target, 5.0))


async def test_pages_of_the_log_that_nobody_reads_harm_nobody(victim: Victim) -> None:
    await raise_alarms(victim.server, 1_000, TEXT)
    await victim.bears(lambda target: leave_events(target, 5.0))


@pytest.mark.long
async def test_a_hundred_large_exports_that_nobody_reads_harm_nobody(victim: Victim) -> None:
    await raise_alarms(victim.server, 15_000, TEXT)
    await victim.bears(lambda target: leave_exports(target, 45.0))

"""WebSocket frames without end: pings whose pongs nobody reads, messages of fragments that never end."""

import pytest

from tests.e2e.attacks.conftest import TIMEOUT_SECONDS, Victim
from tests.kit.attackers.sessions import fragment_endlessly, ping_deafly

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(TIMEOUT_SECONDS)]

SECONDS = 5.0


async def test_pings_whose_pongs_nobody_reads_harm_nobody(victim: Victim) -> None:
    await victim.bears(lambda target: ping_deafly(target, SECONDS))


async def test_fragments_without_end_harm_nobody(victim: Victim) -> None:
    await victim.bears(lambda target: fragment_endlessly(target, SECONDS))

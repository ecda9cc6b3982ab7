"""Requests that never end: header lines, chunks, a body that drips."""

import pytest

from tests.e2e.attacks.conftest import TIMEOUT_SECONDS, Victim
from tests.kit.attackers.requests import drip_bodies, send_chunks_endlessly, send_headers_endlessly

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(TIMEOUT_SECONDS)]

GONE_SECONDS = 60.0


async def test_header_lines_without_end_harm_nobody(victim: Victim) -> None:
    await victim.bears(lambda target: send_headers_endlessly(target, 3.0))


async def test_chunks_without_end_harm_nobody(victim: Victim) -> None:
    await victim.bears(lambda target: send_chunks_endlessly(target, 6.0))


@pytest.mark.long
async def test_who_drips_a_body_is_sent_away(victim: Victim) -> None:
    left = await victim.bears(lambda target: drip_bodies(target, GONE_SECONDS))
    assert left == 0

"""Sockets that say nothing: refused, or gone within 30 s."""

import pytest

from tests.e2e.attacks.conftest import TIMEOUT_SECONDS, Victim
from tests.kit.attackers.silence import keep_silent, never_introduce

pytestmark = [pytest.mark.e2e, pytest.mark.long, pytest.mark.timeout(TIMEOUT_SECONDS)]

GONE_SECONDS = 30.0


async def test_sockets_that_send_nothing_are_gone_soon(victim: Victim) -> None:
    left = await victim.bears(lambda target: keep_silent(target, GONE_SECONDS))
    assert left == 0


async def test_sessions_that_never_say_who_they_are_are_gone_soon(victim: Victim) -> None:
    left = await victim.bears(lambda target: never_introduce(target, GONE_SECONDS))
    assert left == 0

"""Sockets that say nothing: refused, or gone within 30 s."""

import pytest

from tests.e2e.attacks.conftest import TIMEOUT_SECONDS, Victim
from tests.kit.attackers.silence import keep_silent, never_introduce
from tests.kit.attackers.target import Target

pytestmark = [pytest.mark.e2e, pytest.mark.long, pytest.mark.timeout(TIMEOUT_SECONDS)]

GONE_SECONDS = 30.0


async def test_sockets_that_send_nothing_are_gone_soon(victim: Victim) -> None:
    async def attack(target: Target) -> None:
        assert not await keep_silent(target, GONE_SECONDS)

    await victim.bears(attack)


async def test_sessions_that_never_say_who_they_are_are_gone_soon(victim: Victim) -> None:
    async def attack(target: Target) -> None:
        assert not await never_introduce(target, GONE_SECONDS)

    await victim.bears(attack)

"""Bodies within the bounds that take long to read, or to look up."""

import asyncio

import pytest

from tests.e2e.attacks.conftest import TIMEOUT_SECONDS, Victim
from tests.kit.attackers.bodies import (
    send_large_ids,
    send_many_alerts,
    send_many_details,
    send_many_elements,
)
from tests.kit.attackers.target import Target
from tests.kit.replicasets import ReplicaSet

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(TIMEOUT_SECONDS)]

PAUSE_SECONDS = 3.0
ANSWER_SECONDS = 10.0


async def test_a_body_of_very_many_alerts_harms_nobody(victim: Victim) -> None:
    await victim.bears(lambda target: send_many_alerts(target, 8.0, 150_000))


@pytest.mark.long
async def test_the_largest_body_of_alerts_harms_nobody(victim: Victim) -> None:
    await victim.bears(lambda target: send_many_alerts(target, 30.0))


async def test_arrays_of_very_many_elements_harm_nobody(victim: Victim) -> None:
    await victim.bears(lambda target: send_many_elements(target, 10.0))


async def test_pagerduty_events_of_very_many_details_harm_nobody(victim: Victim) -> None:
    await victim.bears(lambda target: send_many_details(target, 10.0))


async def test_ids_of_a_megabyte_while_mongodb_stands_still_fail_nobody_else(
    victim: Victim, replica_set: ReplicaSet
) -> None:
    (mongod,) = replica_set.nodes

    async def attack(target: Target) -> None:
        await asyncio.to_thread(mongod.pause)
        asking = asyncio.ensure_future(send_large_ids(target, PAUSE_SECONDS + ANSWER_SECONDS))
        await asyncio.wait([asking], timeout=PAUSE_SECONDS)
        await asyncio.to_thread(mongod.wake)
        await asking

    await victim.bears(attack)

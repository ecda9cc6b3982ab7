"""From the log to real receivers, on a real MongoDB: relaying, failing, dying, coming back."""

import asyncio
from contextlib import AsyncExitStack, aclosing

import pytest
import standardwebhooks

from adapters.memory.leases import MemoryLeases
from adapters.mongo.outbox.outbox import OUTBOX
from adapters.webhook.formats.registry import FORMATS
from adapters.webhook.sender import HttpSender
from core.errors import Conflict
from core.outbox.lanes import AT_ONCE
from tests.integration.application.webhooks.stage import SECONDS, Stage, check, history_of
from tests.kit.outgoing import SECRET
from tests.kit.receiver import Behaviour, receiving

CALL_SECONDS = 4.0
"""How long a call may take where some hang: half of it is for the status.

On the stage's clock a row's ten tries follow each other at once. With a time that a busy machine may need
for any call, one bad moment is ten failed tries, and rows die that the receiver would take, or has taken.
"""


async def test_events_reach_the_receiver_signed_and_in_order(stage: Stage) -> None:
    history = history_of(5)
    async with receiving() as receiver:
        await stage.hook(receiver)
        await stage.plant(history.events)
        async with stage.running() as relay:
            await stage.settled()
    check(receiver.deliveries, history.events)
    assert len(receiver.deliveries) == len(history.events)
    for each in receiver.deliveries:
        assert each.headers["content-type"] == "application/cloudevents+json"
        standardwebhooks.Webhook(SECRET).verify(each.body, each.headers)
    counts = relay.counts["hook"]
    assert counts.attempts == counts.delivered == sum(counts.latency.buckets) == len(history.events)


@pytest.mark.parametrize("seed", range(2))
async def test_a_receiver_that_does_everything_wrong_gets_all_in_order_and_so_does_its_neighbour(
    stage: Stage, seed: int
) -> None:
    wrong: list[Behaviour] = [
        "error",
        "close",
        "redirect",
        "half",
        "slow",
        "later",
        "hang",
        "garbage",
        "flood",
    ]
    history = history_of(6)
    dead: list[int] = []

    def behave(number: int) -> Behaviour:
        # It comes back; a row may have died by then, and is listed.
        return wrong[(number + seed) % len(wrong)] if number < 40 else "ok"

    stage.sender = HttpSender(FORMATS, ["127.0.0.0/8"], seconds=CALL_SECONDS)
    async with receiving(behave) as failing, receiving() as healthy, aclosing(stage.sender):
        await stage.hook(failing, "failing")
        await stage.hook(healthy, "healthy")
        await stage.plant(history.events)
        async with stage.running():
            await stage.settled()
    dead = [int(row.partition(":")[0]) for row in await stage.dead()]
    check(failing.deliveries, history.events, dead)
    check(healthy.deliveries, history.events)
    assert len(failing.deliveries) > len(history.events)


async def test_a_receiver_that_hangs_holds_up_no_other(stage: Stage) -> None:
    """The hanging calls never end within the test: whoever waited for one would not be done."""
    history = history_of(20)
    stage.sender = HttpSender(FORMATS, ["127.0.0.0/8"], seconds=10 * SECONDS)
    async with receiving(lambda _: "hang") as hanging, receiving() as healthy, aclosing(stage.sender):
        for number in range(8):
            await stage.hook(hanging, f"hanging-{number}")
        await stage.hook(healthy, "healthy")
        await stage.plant(history.events)
        async with stage.running():
            await healthy.until("all of them", lambda: len(healthy.taken) == len(history.events))
            await hanging.until("a full bound", lambda: len(hanging.deliveries) == 8 * AT_ONCE)
    check(healthy.deliveries, history.events)


async def test_a_row_dies_after_the_whole_schedule_and_later_ones_pass_it(stage: Stage) -> None:
    history = history_of(1)
    async with receiving(lambda number: "error" if number < 10 else "ok") as receiver:
        await stage.hook(receiver)
        await stage.plant(history.events)
        async with stage.running():
            await stage.settled()
            assert await stage.dead() == ["1:hook"]
            check(receiver.deliveries, history.events, dead=[1])
            waits = [round(each.total_seconds()) for each in stage.clock.slept]
            assert sum(waits) == pytest.approx(5 + 300 + 1800 + 3600 * (2 + 5 + 10 + 14 + 20 + 24), abs=60)
            retried = await stage.outgoing.retry("default", "1:hook")
            # The relay may have delivered it by the time that its row was read again.
            assert retried.state in ("pending", "delivered")
            await receiver.until("the retried one", lambda: receiver.taken[-1].position == 1)
            await stage.settled()
            with pytest.raises(Conflict):
                await stage.outgoing.retry("default", "1:hook")


async def test_dead_rows_are_retried_in_bulk(stage: Stage) -> None:
    history = history_of(4, rounds=1)
    down = True
    async with receiving(lambda _: "error" if down else "ok") as receiver:
        await stage.hook(receiver)
        await stage.plant(history.events)
        async with stage.running():
            await stage.settled()
            assert len(await stage.dead()) == len(history.events)
            assert receiver.taken == []
            down = False
            done = await stage.outgoing.retry_all("default", None, None)
            assert (done.retried, done.overtaken, done.next) == (len(history.events), 0, None)
            await stage.settled()
    check(receiver.deliveries, history.events)


async def test_a_dead_row_that_was_overtaken_is_not_retried_where_the_receiver_keeps_a_state(
    stage: Stage,
) -> None:
    history = history_of(1, rounds=1)
    async with receiving(lambda number: "error" if number < 10 else "ok") as receiver:
        await stage.hook(receiver, format="pagerduty", routing_key="R")
        await stage.plant(history.events)
        async with stage.running():
            await stage.settled()
            assert await stage.dead() == ["1:hook"]
            with pytest.raises(Conflict) as refused:
                await stage.outgoing.retry("default", "1:hook")
            assert refused.value.code == "overtaken"
            assert (await stage.outgoing.retry_all("default", None, None)).overtaken == 1
    assert b'"routing_key":"R"' in receiver.deliveries[0].body


async def test_workers_killed_at_any_moment_lose_nothing(stage: Stage) -> None:
    """Both workers are cancelled again and again, wherever they are; no lease is waited for."""
    # More than the 36 deliveries that are waited for, whether or not a kill has any of them sent again.
    history = history_of(48)
    behaviours: list[Behaviour] = ["ok", "ok", "slow", "ok", "error"]
    async with receiving(lambda number: behaviours[number % 5] if number < 90 else "ok") as receiver:
        await stage.hook(receiver)
        await stage.plant(history.events)
        for kill in range(15):
            async with stage.running(f"holder-{kill}"):
                wanted = len(receiver.deliveries) + 1 + kill % 4
                await receiver.until("a bit more", receiver.had(wanted))
                for _ in range(kill):
                    await asyncio.sleep(0)
        async with stage.running("last"):
            await stage.settled()
    assert await stage.dead() == []
    check(receiver.deliveries, history.events)


async def test_two_relays_at_once_lose_nothing(stage: Stage) -> None:
    """A leader that was paused and the one that followed it: both believe that they lead."""
    history = history_of(6)
    async with receiving() as receiver, AsyncExitStack() as stack:
        await stage.hook(receiver)
        await stage.plant(history.events)
        await stack.enter_async_context(stage.running("a"))
        stage.leases = MemoryLeases()
        await stack.enter_async_context(stage.running("b"))
        await stage.settled()
    taken = {each.position for each in receiver.taken}
    assert taken == {event.position for event in history.events}


async def test_a_deleted_webhooks_rows_go_with_it(stage: Stage) -> None:
    history = history_of(3)

    async def no_row_is_left() -> bool:
        return not await stage.connected[OUTBOX].count_documents({})

    async with receiving(lambda _: "error") as receiver:
        await stage.hook(receiver)
        await stage.plant(history.events)
        async with stage.running():
            await receiver.until("a try", lambda: len(receiver.deliveries) > 0)
            await stage.outgoing.remove("default", "hook")
            await stage.until("no row is left", no_row_is_left)

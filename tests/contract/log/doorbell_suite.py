"""What core.log.ports.Doorbell promises, and what a feed makes of it: the same for all, on real servers."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, suppress
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest

from adapters.mongo.client import Database, connect
from adapters.mongo.log.log import MongoLog
from core.alarm.alarm import Alarm
from core.alarm.decider import decide
from core.alarm.events import Event
from core.errors import OutcomeUnknown, Unavailable
from tests.kit.members import EACH, WRITERS, Member, burst, positions, raising
from tests.kit.mongods import Mongod
from tests.kit.mongologs import WritableLog
from tests.kit.waiting import eventually

Start = Callable[[], AbstractAsyncContextManager[Member]]
"""Starts one more process on the test's database."""

SECONDS = 20.0


async def write_on(member: Member, source: str, acknowledged: list[Event]) -> None:
    """Raise an alarm again and again, until MongoDB is away."""
    with suppress(Unavailable, OutcomeUnknown):
        for time in count():
            event = await member.raised(source, text=str(time))
            acknowledged.append(event)


async def rung(member: Member, topic: str) -> None:
    async with asyncio.timeout(SECONDS):
        await member.feed.bells.of(topic).wait()


def row(topic: str) -> dict[str, Any]:
    """Return a row that those who wait for the topic can read."""
    revoked = {"kind": "subject", "tenant": "t", "subject": "s", "reason": "", "lasting": False}
    return {"_id": "a", **({**revoked, "at": datetime.now(UTC)} if topic == "revocations" else {})}


class DoorbellContract:
    """Run with the fixtures `start` and `mongod`, the node that holds the log."""

    async def test_every_event_comes_once_and_in_order(self, start: Start) -> None:
        async with start() as member:
            written = await burst(member, "a")
            assert await member.reached(WRITERS * EACH) == written
        assert positions(written) == list(range(1, WRITERS * EACH + 1))

    async def test_a_feed_starts_at_the_end_it_finds(self, start: Start) -> None:
        async with start() as first:
            await first.raised("before")
        async with start() as second:
            event = await second.raised("after")
            assert await second.reached(2) == [event]

    async def test_an_event_needs_no_second_one_to_come(self, start: Start) -> None:
        async with start() as member:
            for number in range(1, 6):
                await member.raised(f"a-{number}")
                assert len(await member.reached(number)) == number

    async def test_a_bell_that_rings_early_brings_nothing_forward(self, start: Start) -> None:
        async with start() as member:
            member.store.ring(2)
            member.feed.hear(2)
            first = await member.raised("a")
            assert await member.reached(1) == [first]
            second = await member.raised("b")
            assert await member.reached(2) == [first, second]

    async def test_a_bell_that_rings_again_repeats_nothing(self, start: Start) -> None:
        async with start() as member:
            first = await member.raised("a")
            for position in (1, 1, 0):
                member.store.ring(position)
            second = await member.raised("b")
            assert await member.reached(2) == [first, second]

    @pytest.mark.parametrize("topic", ["checkpoints", "webhooks", "revocations", "outbox"])
    async def test_a_topic_rings_where_it_is_written(self, start: Start, topic: str) -> None:
        async with start() as member:
            waiting = asyncio.create_task(rung(member, topic))
            await asyncio.sleep(0)
            await member.store.connection[topic].insert_one(row(topic))
            await waiting

    async def test_a_log_with_another_identity_resets_the_feed(self, start: Start) -> None:
        async with start() as member:
            await member.raised("a")
            await member.reached(1)
            fresh = await member.store.log.reset_identity()
            await eventually("the feed starts over", lambda: member.resets == 1, SECONDS)
            assert member.feed.identity == fresh
            second = await member.raised("b")
            assert (await member.reached(2))[-1] == second

    async def test_a_mongod_that_is_killed_takes_nothing_back(self, start: Start, mongod: Mongod) -> None:
        async with start() as member:
            acknowledged = list(await burst(member, "a"))
            writing = [asyncio.create_task(write_on(member, f"b-{n}", acknowledged)) for n in range(WRITERS)]
            await member.reached(acknowledged[-1].position + WRITERS)
            await asyncio.to_thread(mongod.kill)
            for task in writing:
                task.cancel()
            await asyncio.gather(*writing, return_exceptions=True)
            await asyncio.to_thread(mongod.start)
            acknowledged.append(await member.raised_at_last("after"))
            await member.reached(acknowledged[-1].position)
            kept = (await member.store.log.read(0, 10_000)).events
        assert member.seen == kept
        assert positions(kept) == list(range(1, len(kept) + 1))
        assert {event.event_id for event in acknowledged} <= {event.event_id for event in kept}


class SharedDoorbellContract(DoorbellContract):
    """For doorbells that ring in every process: run with the fixture `uri`, too."""

    @pytest.fixture
    async def beside(self, uri: str, database: str) -> AsyncIterator[Database]:
        connection = connect(uri, database)
        yield connection
        connection.client.close()

    async def test_two_writers_are_seen_by_both_in_one_order(self, start: Start) -> None:
        async with start() as first, start() as second:
            await asyncio.gather(burst(first, "a"), burst(second, "b"))
            total = 2 * WRITERS * EACH
            assert await first.reached(total) == await second.reached(total)
        assert positions(first.seen) == list(range(1, total + 1))

    async def test_an_event_whose_bell_is_lost_comes_all_the_same(
        self, start: Start, beside: Database
    ) -> None:
        silent = WritableLog(beside)
        async with start() as member, silent.running():
            first = await member.raised("a")
            command = raising("b")
            absent = Alarm.absent(command.alarm_id)
            event = decide(absent, command)
            assert event is not None
            lost = await silent.append(absent, event)
            # On an otherwise silent log: nothing later makes up for it.
            assert await member.reached(2) == [first, lost]

    @pytest.mark.parametrize("topic", ["checkpoints", "webhooks", "revocations", "outbox"])
    async def test_a_topic_rings_in_the_other_process_too(self, start: Start, topic: str) -> None:
        async with start() as first, start() as second:
            waiting = asyncio.create_task(rung(second, topic))
            await asyncio.sleep(0)
            await first.store.connection[topic].insert_one(row(topic))
            await waiting

    async def test_another_process_gives_the_log_another_identity(
        self, start: Start, beside: Database
    ) -> None:
        async with start() as member:
            fresh = await MongoLog(beside).reset_identity()
            await eventually("the feed starts over", lambda: member.resets == 1, SECONDS)
            assert member.feed.identity == fresh

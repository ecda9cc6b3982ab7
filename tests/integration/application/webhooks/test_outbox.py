"""From the log to real receivers, on a real MongoDB: routing, relaying, failing, dying, coming back."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
import pytest_asyncio
import standardwebhooks
from msgspec.structs import replace
from rich.console import Console

from adapters.memory.leases import MemoryLeases
from adapters.mongo.client import Database
from adapters.mongo.codec import event_document
from adapters.mongo.coordination.checkpoints import MongoCheckpoints
from adapters.mongo.log.log import MongoLog
from adapters.mongo.log.store import EVENTS
from adapters.mongo.outbox.outbox import OUTBOX, MongoOutbox
from adapters.mongo.outbox.webhooks import MongoWebhooks
from adapters.webhook.formats.table import FORMATS
from adapters.webhook.sender import HttpSender
from core.alarm.events import Event
from core.application.webhooks.endpoint import RelayParts
from core.application.webhooks.relay import Relay
from core.application.webhooks.router import ROUTING, Router, RouterParts
from core.application.webhooks.service import Outgoing
from core.errors import Conflict
from core.lists.filter import Filter
from core.outbox.lanes import AT_ONCE
from core.outbox.ports import OutboxQuery
from core.outbox.row import Settlement
from core.outbox.webhook import Webhook
from entrypoints.cli.outbox import UNDELIVERED, list_rows, retry_rows
from entrypoints.process.settings import Settings
from tests.kit.history import History
from tests.kit.hosts import CountedIds, candidate
from tests.kit.outgoing import SECRET, row, webhook
from tests.kit.receiver import Behaviour, Delivery, Receiver, receiving
from tests.kit.streams import WAIT

SECONDS = 30


class Haste:
    """A clock that jumps to wherever somebody waits for it, so that no test waits for the schedule."""

    def __init__(self) -> None:
        self.ahead = timedelta()
        self.slept: list[timedelta] = []

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    async def sleep_until(self, moment: datetime | None) -> None:
        if moment is None:
            await asyncio.Event().wait()
            return
        # Whoever is under way goes first.
        await asyncio.sleep(0.005)
        left = moment - self.now()
        if left > timedelta():
            self.slept.append(left)
            self.ahead += left


class Stage:
    """A log, the outbox on it, and everything that works on both, as often as a test starts it."""

    def __init__(self, connected: Database) -> None:
        self.connected = connected
        self.log = MongoLog(connected)
        self.webhooks, self.outbox = MongoWebhooks(connected), MongoOutbox(connected)
        self.checkpoints = MongoCheckpoints(connected)
        self.leases = MemoryLeases()
        self.clock = Haste()
        self.sender = HttpSender(["127.0.0.0/8"])
        self.outgoing = Outgoing(
            self.webhooks, self.outbox, self.sender, self.log, self.clock, CountedIds(), FORMATS
        )
        self._bells: dict[str, asyncio.Event] = defaultdict(asyncio.Event)

    async def plant(self, events: Sequence[Event]) -> None:
        await self.connected[EVENTS].insert_many([event_document(event) for event in events])

    async def hook(self, receiver: Receiver, name: str = "hook", **fields: Any) -> Webhook:
        """A webhook to the receiver; it starts with the log."""
        start = fields.pop("start", 0)
        made = await self.outgoing.create(webhook(name, url=receiver.url, **fields), start)
        self.ring()
        return made

    def ring(self) -> None:
        """Stand in for the change stream, which tells of every change, if not of each."""
        for bell in self._bells.values():
            bell.set()
        self._bells.clear()

    async def _keep_ringing(self) -> None:
        while True:
            await asyncio.sleep(0.02)
            self.ring()

    async def follow(self, after: int) -> AsyncIterator[Sequence[Event]]:
        while True:
            page = await self.log.read(after, 7)
            if page.events:
                yield page.events
                after = page.events[-1].position
            else:
                await asyncio.sleep(0.005)

    def router(self, holder: str) -> Router:
        parts = RouterParts(
            self.log,
            self.webhooks,
            self.outbox,
            self.checkpoints,
            self.follow,
            self._bells.__getitem__,
            self.clock,
            FORMATS,
        )
        return Router(parts, candidate(self.leases, holder))

    def relay(self, holder: str) -> Relay:
        parts = RelayParts(
            self.webhooks, self.outbox, self.sender, self._bells.__getitem__, self.clock, lambda: 0.0
        )
        return Relay(parts, candidate(self.leases, holder))

    @asynccontextmanager
    async def running(self, holder: str = "a") -> AsyncIterator[Relay]:
        relay = self.relay(holder)
        async with asyncio.TaskGroup() as tasks:
            work = (self.router(holder).run(), relay.run(), self._keep_ringing())
            running = [tasks.create_task(each) for each in work]
            yield relay
            for task in running:
                task.cancel()

    async def settled(self) -> None:
        """Wait until nothing is pending any more and everything has been routed."""
        async with asyncio.timeout(SECONDS):
            while not await self._all_routed() or await self.outbox.waiting():
                await asyncio.sleep(0.01)

    async def _all_routed(self) -> bool:
        routed, tail = await self.checkpoints.load(ROUTING), await self.log.tail()
        hooks = await self.webhooks.all()
        return routed.position == tail.position and all(hook.joined for hook in hooks if hook.enabled)

    async def dead(self) -> list[str]:
        return [
            row["_id"] async for row in self.connected[OUTBOX].find({"state": "dead"}, sort=[("position", 1)])
        ]


@pytest_asyncio.fixture
async def stage(connected: Database) -> AsyncIterator[Stage]:
    made = Stage(connected)
    for store in (made.log, made.webhooks, made.outbox):
        await store.create()
    async with aclosing(made.sender):
        yield made


def history_of(sources: int, rounds: int = 2) -> History:
    history = History()
    for _ in range(rounds):
        for number in range(sources):
            history.raised(f"line/{number}")
        for number in range(sources):
            history.cleared(f"line/{number}")
    return history


def check(deliveries: Sequence[Delivery], expected: Sequence[Event], dead: Sequence[int] = ()) -> None:
    """Every event but the dead ones was taken, in order for each alarm, and all tries were alike."""
    bodies: dict[str, set[bytes]] = defaultdict(set)
    firsts: dict[str, list[int]] = defaultdict(list)
    for each in deliveries:
        bodies[each.headers["webhook-id"]].add(each.body)
        assert each.event["id"] == each.headers["webhook-id"]
        if each.taken and each.position not in firsts[each.event["subject"]]:
            firsts[each.event["subject"]].append(each.position)
    assert all(len(tries) == 1 for tries in bodies.values())
    wanted: dict[str, list[int]] = defaultdict(list)
    for event in expected:
        if event.position not in dead:
            wanted[event.stream].append(event.position)
    assert firsts == wanted


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

    stage.sender = HttpSender(["127.0.0.0/8"], seconds=0.4)
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
    stage.sender = HttpSender(["127.0.0.0/8"], seconds=10 * SECONDS)
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
            assert retried.state == "pending"
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


async def test_what_keeps_a_state_is_not_retried_once_it_was_overtaken(stage: Stage) -> None:
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


async def test_gone_disables_the_webhook_and_enabling_it_goes_on_where_it_was(stage: Stage) -> None:
    history = history_of(3)
    async with receiving(lambda number: "gone" if number == 3 else "ok") as receiver:
        await stage.hook(receiver)
        await stage.plant(history.events[:6])
        async with stage.running():
            async with asyncio.timeout(SECONDS):
                while (hook := await stage.webhooks.get("default", "hook")) is None or hook.enabled:
                    await asyncio.sleep(0.01)
                while hook is None or hook.joined:
                    hook = await stage.webhooks.get("default", "hook")
            assert hook.disabled_reason == "HTTP 410"
            called = len(receiver.deliveries)
            await stage.plant(history.events[6:])
            await stage.outgoing.change(hook, {"enabled": True}, None)
            await receiver.until("the rest", lambda: len(receiver.taken) >= len(history.events))
            await stage.settled()
    assert called <= 6
    check(receiver.deliveries, history.events)


async def test_a_webhook_that_comes_later_gets_what_lies_behind_its_start_and_nothing_twice(
    stage: Stage,
) -> None:
    history = history_of(25)
    async with receiving() as first, receiving() as second:
        await stage.hook(first, "first")
        await stage.plant(history.events[:50])
        async with stage.running():
            await first.until("some", lambda: len(first.taken) > 10)
            await stage.hook(second, "second", start=20)
            await stage.plant(history.events[50:])
            await second.until("all", lambda: len(second.taken) >= len(history.events) - 20)
            await stage.settled()
    check(second.deliveries, history.events[20:])
    assert len(second.deliveries) == len(history.events) - 20
    check(first.deliveries, history.events)


async def test_now_is_behind_the_tail_and_filters_choose(stage: Stage) -> None:
    history = history_of(4)
    await stage.plant(history.events[:5])
    async with receiving() as receiver:
        only = Filter(sources=frozenset({"line/1"}))
        await stage.hook(receiver, filter=only, start="now")
        async with stage.running():
            await stage.plant(history.events[5:])
            expected = [each for each in history.events[5:] if each.alarm.source == "line/1"]
            await receiver.until("those", lambda: len(receiver.taken) >= len(expected))
    check(receiver.deliveries, expected)


async def test_killed_at_any_moment_nothing_is_lost(stage: Stage) -> None:
    """Both workers are cancelled again and again, wherever they are; no lease is waited for."""
    history = history_of(12)
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
    async with receiving(lambda _: "error") as receiver:
        await stage.hook(receiver)
        await stage.plant(history.events)
        async with stage.running():
            await receiver.until("a try", lambda: len(receiver.deliveries) > 0)
            await stage.outgoing.remove("default", "hook")
            stage.ring()
            async with asyncio.timeout(SECONDS):
                while await stage.connected[OUTBOX].count_documents({}):
                    await asyncio.sleep(0.01)


async def test_a_restored_log_is_routed_from_where_it_parted(stage: Stage) -> None:
    old, new = history_of(5), history_of(5)
    async with receiving() as receiver:
        await stage.hook(receiver)
        await stage.plant(old.events)
        async with stage.running("a"):
            await stage.settled()
        await stage.connected[EVENTS].delete_many({"_id": {"$gt": 8}})
        later = [event_document(event) for event in new.events[8:]]
        for document in later:
            document["event_id"] = f"new-{document['event_id']}"
        await stage.connected[EVENTS].insert_many(later)
        before = len(receiver.deliveries)
        async with stage.running("b"):
            await receiver.until("the new ones", lambda: len(receiver.taken) >= before + len(later))
            await stage.settled()
    again = receiver.deliveries[before:]
    assert sorted(each.position for each in again) == [document["_id"] for document in later]
    assert all(each.headers["webhook-id"].startswith("new-") for each in again)


async def test_without_webhooks_nothing_is_routed_and_no_checkpoint_is_written_for_each_batch(
    stage: Stage,
) -> None:
    await stage.plant(history_of(20).events)
    async with stage.running():
        async with asyncio.timeout(WAIT):
            while (await stage.checkpoints.load(ROUTING)).position < 80:
                await asyncio.sleep(0.01)
    assert await stage.connected[OUTBOX].count_documents({}) == 0


async def test_rows_are_listed_and_retried_in_a_terminal(
    stage: Stage, mongodb_uri: str, database: str
) -> None:
    out = Console(file=StringIO(), width=40)
    settings = Settings(mongodb_uri=mongodb_uri, database=database)
    query = OutboxQuery(tenant="default", states=UNDELIVERED)
    await stage.webhooks.add(webhook())
    await stage.outbox.add([row(1), row(2)])
    failed = replace(row(1), state="dead", attempts=10, settled_at=datetime.now(UTC), error="HTTP 500")
    await stage.outbox.settle([Settlement(failed)])
    await list_rows(settings, query, out)
    assert await retry_rows(settings, "default", ["1:hook", "9:x:"], None, out) == 1
    assert await retry_rows(settings, "default", [], None, out) == 0
    assert isinstance(out.file, StringIO)
    lines = out.file.getvalue().splitlines()
    assert lines[0] == "1:hook  alarm.raised  alarm a  dead, 10 tries: HTTP 500"
    assert lines[1].startswith(
        "2:hook  alarm.raised  alarm a  pending, 0 tries, next try 2026-01-01T12:00:00"
    )
    assert lines[2:] == ["1:hook: pending again", "9:x:: there is no such row", "rows pending again: 0"]

"""A log on MongoDB, and what routes and relays it to real receivers, woken as in production."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from adapters.memory.leases import MemoryLeases
from adapters.mongo.client import Database
from adapters.mongo.codec import event_document
from adapters.mongo.coordination.checkpoints import MongoCheckpoints
from adapters.mongo.log.doorbell import ChangeStreamDoorbell
from adapters.mongo.log.log import MongoLog
from adapters.mongo.log.store import EVENTS
from adapters.mongo.outbox.outbox import OUTBOX, MongoOutbox
from adapters.mongo.outbox.webhooks import MongoWebhooks
from adapters.webhook.formats.registry import FORMATS
from adapters.webhook.sender import HttpSender
from core.alarm.events import Event
from core.application.feed import Feed
from core.application.webhooks.administration import WebhookAdministration
from core.application.webhooks.endpoint import RelayParts
from core.application.webhooks.relay import Relay
from core.application.webhooks.router import ROUTING, Router, RouterParts
from core.outbox.webhook import Webhook
from tests.kit.history import History
from tests.kit.hosts import HOST, CountedIds, candidate
from tests.kit.outgoing import AGES, webhook
from tests.kit.receiver import Delivery, Receiver
from tests.kit.workers import running

SECONDS = 30.0
BATCH = 7
"""How many events the router is given at once: few, so that no test is over after the first batch."""


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
        self.routed = 0
        self.sender = HttpSender(FORMATS, ["127.0.0.0/8"])
        self.outgoing = WebhookAdministration(
            self.webhooks, self.outbox, self.sender, self.log, self.clock, CountedIds(), FORMATS
        )

    async def plant(self, events: Sequence[Event]) -> None:
        await self.connected[EVENTS].insert_many([event_document(event) for event in events])

    async def hook(self, receiver: Receiver, name: str = "hook", **fields: Any) -> Webhook:
        """A webhook to the receiver; it starts with the log."""
        start = fields.pop("start", 0)
        return await self.outgoing.create(webhook(name, url=receiver.url, **fields), start)

    def router(self, holder: str, feed: Feed) -> Router:
        async def follow(after: int) -> AsyncIterator[Sequence[Event]]:
            async for events in feed.follow(after):
                for start in range(0, len(events), BATCH):
                    yield events[start : start + BATCH]
                    # Whoever asks for the next batch is done with this one.
                    self.routed = events[: start + BATCH][-1].position

        parts = RouterParts(
            self.log, self.webhooks, self.outbox, self.checkpoints, follow, feed.bells.of, self.clock, FORMATS
        )
        return Router(parts, candidate(self.leases, holder))

    def relay(self, holder: str, feed: Feed) -> Relay:
        parts = RelayParts(
            self.webhooks, self.outbox, self.sender, feed.bells.of, self.clock, lambda: 0.0, AGES
        )
        return Relay(parts, candidate(self.leases, holder))

    @asynccontextmanager
    async def feeding(self) -> AsyncIterator[Feed]:
        """A feed on the change stream: what rings its bells is what was written, and nothing else."""
        feed = Feed(self.log, ChangeStreamDoorbell(self.connected), HOST.chance)
        await feed.start()
        async with running(feed):
            yield feed

    @asynccontextmanager
    async def running(self, holder: str = "a") -> AsyncIterator[Relay]:
        """Route and relay, as one process."""
        async with self.feeding() as feed:
            relay = self.relay(holder, feed)
            async with running(self.router(holder, feed), relay):
                yield relay

    async def until(self, what: str, holds: Callable[[], Awaitable[bool]]) -> None:
        """Wait until something is in the database."""
        try:
            async with asyncio.timeout(SECONDS):
                while not await holds():
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise AssertionError(f"not within {SECONDS:g} s: {what}") from None

    async def settled(self) -> None:
        """Wait until nothing is pending any more and everything has been routed."""
        await self.until("all is routed and sent", self._settled)

    async def _settled(self) -> bool:
        routed, tail = await self.checkpoints.load(ROUTING), await self.log.tail()
        hooks = await self.webhooks.all()
        all_routed = routed.position == tail.position and all(hook.joined for hook in hooks if hook.enabled)
        return all_routed and not await self.outbox.waiting()

    async def dead(self) -> list[str]:
        return [
            row["_id"] async for row in self.connected[OUTBOX].find({"state": "dead"}, sort=[("position", 1)])
        ]


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
        # A dead one may have been taken all the same: its answer came too late.
        counts = each.taken and each.position not in dead
        if counts and each.position not in firsts[each.event["subject"]]:
            firsts[each.event["subject"]].append(each.position)
    assert all(len(tries) == 1 for tries in bodies.values())
    wanted: dict[str, list[int]] = defaultdict(list)
    for event in expected:
        if event.position not in dead:
            wanted[event.stream].append(event.position)
    assert firsts == wanted

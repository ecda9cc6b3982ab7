"""A router that slept wakes when its successor has moved on: no webhook misses an event by it."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from adapters.mongo.log.log import MongoLog
from adapters.mongo.outbox.outbox import OUTBOX
from adapters.mongo.outbox.webhooks import MongoWebhooks
from core.application.feed import Feed
from core.application.leases import LEASE_SECONDS
from core.application.waiting import cancelled
from core.application.webhooks.router import ROUTER_LEASE, ROUTING
from core.log.ports import Page
from core.outbox.webhook import Webhook
from tests.integration.application.webhooks.stage import Stage, history_of
from tests.kit.outgoing import webhook

FIRST = 4


class SleepingWebhooks(MongoWebhooks):
    """Those of a router that falls asleep just before it lets `late` join.

    How far `late` was routed is not noted, as it is not for what is routed right before joining.
    """

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage.connected)
        self.asleep, self.wake, self.joined = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def change(self, tenant: str, webhook_id: str, changes: Mapping[str, Any]) -> Webhook | None:
        joins = webhook_id == "late" and bool(changes.get("joined"))
        if webhook_id == "late" and not joins:
            return await self.get(tenant, webhook_id)
        if joins:
            self.asleep.set()
            await self.wake.wait()
        changed = await super().change(tenant, webhook_id, changes)
        if joins:
            self.joined.set()
        return changed


class SlowLog(MongoLog):
    """The log of a router that ends before any webhook has caught up."""

    async def read(self, after: int, limit: int) -> Page:
        await asyncio.Event().wait()
        return await super().read(after, limit)


@asynccontextmanager
async def leading(stage: Stage, feed: Feed, holder: str) -> AsyncIterator[None]:
    """Let this router lead, whoever led before."""
    lease = await stage.leases.take_over(ROUTER_LEASE, holder, LEASE_SECONDS)
    working = asyncio.ensure_future(stage.router(holder, feed).work(lease))
    try:
        yield
    finally:
        await cancelled([working])


async def test_a_router_that_slept_makes_no_webhook_miss_what_its_successor_routed(stage: Stage) -> None:
    events = history_of(5, rounds=1).events

    async def routed_all() -> bool:
        return (await stage.checkpoints.load(ROUTING)).position == len(events)

    async def late_has_all() -> bool:
        rows = stage.connected[OUTBOX].find({"webhook": "late"}, sort=[("position", 1)])
        return [row["position"] async for row in rows] == [event.position for event in events]

    await stage.webhooks.add(webhook("first"))
    await stage.plant(events[:FIRST])
    usual, log = stage.webhooks, stage.log
    async with stage.feeding() as feed:
        stage.webhooks = sleeping = SleepingWebhooks(stage)
        async with leading(stage, feed, "sleeper"):
            await stage.webhooks.add(webhook("late"))
            async with asyncio.timeout(30):
                await sleeping.asleep.wait()
            stage.webhooks, stage.log = usual, SlowLog(stage.connected)
            async with leading(stage, feed, "successor"):
                await stage.plant(events[FIRST:])
                await stage.until("the successor has moved on", routed_all)
                sleeping.wake.set()
                async with asyncio.timeout(30):
                    await sleeping.joined.wait()
        stage.log = log
        async with leading(stage, feed, "third"):
            await stage.until("the late webhook has every row", late_has_all)

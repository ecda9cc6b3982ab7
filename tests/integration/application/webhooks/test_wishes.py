"""What somebody asked for: a row that waits is sent at once, and a webhook that is gone stays silent."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

from adapters.memory.leases import MemoryLeases
from adapters.memory.log import MemoryLog
from adapters.memory.outbox import MemoryOutbox
from adapters.memory.webhooks import MemoryWebhooks
from adapters.webhook.formats.registry import FORMATS
from core.application.bells import Bells
from core.application.webhooks.administration import WebhookAdministration
from core.application.webhooks.endpoint import RelayParts
from core.application.webhooks.relay import Relay
from core.outbox.ports import EXPIRED, WebhookMessage
from core.outbox.row import Row
from core.outbox.schedule import CallResult
from core.outbox.webhook import Webhook
from tests.kit.hosts import HOST, candidate
from tests.kit.outgoing import AGES, row, webhook
from tests.kit.waiting import eventually
from tests.kit.workers import running


class Sender:
    """One that keeps what it sent, and answers as it is told to."""

    def __init__(self) -> None:
        self.status = 200
        self.sent: list[str] = []

    def check_url(self, url: str) -> None:
        """Take any."""

    async def send(self, _: Webhook, message: WebhookMessage, __: datetime) -> CallResult:
        self.sent.append(message.id)
        return CallResult(self.status)


class Outbox(MemoryOutbox):
    """One that counts how often it was read."""

    reads = 0

    async def pending(self, webhook: str, after: int, limit: int) -> Sequence[Row]:
        self.reads += 1
        return await super().pending(webhook, after, limit)


class StaleWebhooks(MemoryWebhooks):
    """Gives the list that was read just before a webhook is disabled once more, right after that."""

    before: Sequence[Webhook] | None = None
    served = 0

    async def change(self, tenant: str, webhook_id: str, changes: Mapping[str, Any]) -> Webhook | None:
        if changes.get("enabled") is False:
            self.before = await super().all()
        return await super().change(tenant, webhook_id, changes)

    async def all(self) -> Sequence[Webhook]:
        if self.before is None:
            return await super().all()
        before, self.before = self.before, None
        self.served += 1
        return before


class Scene:
    """A relay, and whoever asks for something."""

    def __init__(self) -> None:
        self.bells, self.sender = Bells(), Sender()
        self.outbox = Outbox(lambda: self.bells.ring(["outbox"]))
        self.webhooks = StaleWebhooks(lambda: self.bells.ring(["webhooks"]))
        self.outgoing = WebhookAdministration(
            self.webhooks, self.outbox, self.sender, MemoryLog("log"), HOST.clock, HOST.ids, FORMATS
        )

    @asynccontextmanager
    async def relaying(self, pending_for: timedelta = AGES) -> AsyncIterator[None]:
        await self.webhooks.add(webhook())
        parts = RelayParts(
            self.webhooks, self.outbox, self.sender, self.bells.of, HOST.clock, HOST.chance, pending_for
        )
        async with running(Relay(parts, candidate(MemoryLeases()))):
            yield

    async def looked(self) -> None:
        """Wait until the relay has read the rows once more, and done what follows."""
        reads = self.outbox.reads
        self.bells.ring(["outbox"])
        await eventually("it is read", lambda: self.outbox.reads > reads)
        for _ in range(20):
            await asyncio.sleep(0)


async def test_a_row_that_waits_for_hours_is_sent_at_once_when_it_is_retried() -> None:
    scene = Scene()
    later = HOST.clock.now() + timedelta(hours=10)
    await scene.outbox.add([row(1, attempts=5, next_at=later), row(2, attempts=1, next_at=later)])
    async with scene.relaying():
        await eventually("they are read", lambda: scene.outbox.reads > 0)
        assert (await scene.outgoing.retry("default", "2:hook")).state in ("pending", "delivered")
        await eventually("both are sent", lambda: len(scene.sender.sent) == 2)
    assert scene.sender.sent == ["event-1", "event-2"]


async def test_an_old_list_of_webhooks_wakes_none_that_is_gone() -> None:
    scene = Scene()
    scene.sender.status = 410
    async with scene.relaying():
        await scene.outbox.add([row(1)])
        await eventually("the old list is served", lambda: scene.webhooks.served == 1)
        await scene.outbox.add([row(2, "b")])
        await scene.looked()
        assert scene.sender.sent == ["event-1"]
        scene.sender.status = 200
        hook = await scene.webhooks.get("default", "hook")
        assert hook is not None
        await scene.outgoing.change(hook, {"enabled": True}, None)
        await eventually("the second is sent", lambda: "event-2" in scene.sender.sent)


async def test_what_a_disabled_webhook_was_to_get_is_given_up_in_the_end() -> None:
    scene = Scene()
    await scene.webhooks.add(webhook("disabled", enabled=False))
    await scene.outbox.add([row(1, hook="disabled"), row(2, hook="disabled", routed_at=HOST.clock.now())])
    async with scene.relaying(timedelta(days=7)):
        await eventually("it is dead", lambda: scene.outbox.rows[1, "disabled"].state == "dead")
    assert scene.outbox.rows[1, "disabled"].error == EXPIRED
    assert scene.outbox.rows[2, "disabled"].state == "pending"
    assert scene.sender.sent == []

"""No row, no receiver and no store's refusal of one result holds up another webhook, or ends the relay."""

from collections.abc import Callable, Sequence
from datetime import datetime

from adapters.memory.leases import MemoryLeases
from adapters.memory.outbox import MemoryOutbox
from adapters.memory.webhooks import MemoryWebhooks
from core.application.bells import Bells
from core.application.webhooks.endpoint import RelayParts
from core.application.webhooks.relay import Relay
from core.outbox.ports import WebhookMessage
from core.outbox.row import Row, Settlement
from core.outbox.schedule import CallResult
from core.outbox.webhook import Webhook
from tests.kit.hosts import HOST, candidate
from tests.kit.outgoing import AGES, row, webhook
from tests.kit.waiting import eventually
from tests.kit.workers import running

BAD = "bad"


class Outbox(MemoryOutbox):
    """One that does not take what became of a row, and fails on the first reads of a webhook."""

    refused = ""
    failures = 0

    async def settle(self, settlements: Sequence[Settlement]) -> None:
        if any(each.row.id == self.refused for each in settlements):
            raise ValueError("cannot be encoded")
        await super().settle(settlements)

    async def pending(self, webhook: str, after: int, limit: int) -> Sequence[Row]:
        if webhook == BAD and self.failures:
            self.failures -= 1
            raise KeyError("a bug")
        return await super().pending(webhook, after, limit)


class Sender:
    """One that answers 200, but raises where it is told to."""

    def __init__(self, raises: Callable[[Webhook, WebhookMessage], bool]) -> None:
        self._raises = raises

    async def send(self, webhook: Webhook, message: WebhookMessage, _: datetime) -> CallResult:
        if self._raises(webhook, message):
            raise OverflowError("date value out of range")
        return CallResult(200)


async def relayed(
    outbox: Outbox, sender: Sender, seen: Callable[[], bool], webhooks: MemoryWebhooks | None = None
) -> None:
    """Relay the rows of two webhooks until something is seen, then one more of the good webhook."""
    bells = Bells()
    webhooks = MemoryWebhooks() if webhooks is None else webhooks
    for name in (BAD, "good"):
        await webhooks.add(webhook(name))
    parts = RelayParts(webhooks, outbox, sender, bells.of, HOST.clock, HOST.chance, AGES)
    async with running(Relay(parts, candidate(MemoryLeases()))):
        await eventually("it is seen", seen)
        await outbox.add([row(99, hook="good")])
        bells.ring_all()
        await eventually("the good one gets what comes", lambda: state(outbox, 99, "good") == "delivered")


def state(outbox: Outbox, position: int, hook: str) -> str:
    return outbox.rows[position, hook].state


async def test_a_call_that_raises_is_a_failed_try_of_its_row_alone() -> None:
    outbox = Outbox()
    await outbox.add([row(1, "a", BAD), row(2, "b", BAD), row(1, "a", "good")])
    sender = Sender(lambda webhook, message: (webhook.id, message.id) == (BAD, "event-1"))
    await relayed(outbox, sender, lambda: state(outbox, 2, BAD) == "delivered")
    failed = outbox.rows[1, BAD]
    assert (failed.state, failed.attempts) == ("pending", 1)
    assert failed.error == "the call went wrong: OverflowError"


async def test_a_result_that_the_store_does_not_take_holds_up_no_other() -> None:
    outbox = Outbox()
    outbox.refused = f"1:{BAD}"
    await outbox.add([row(1, "a", BAD), row(2, "b", BAD), row(1, "a", "good")])
    await relayed(
        outbox,
        Sender(lambda *_: False),
        lambda: state(outbox, 2, BAD) == state(outbox, 1, "good") == "delivered",
    )
    assert state(outbox, 1, BAD) == "pending"


class ShortList(MemoryWebhooks):
    """A list that lacks a webhook which is there."""

    async def all(self) -> Sequence[Webhook]:
        return [each for each in await super().all() if each.id != BAD]


async def test_rows_of_a_webhook_that_a_list_lacks_are_not_removed() -> None:
    outbox = Outbox()
    await outbox.add([row(1, "a", BAD), row(1, "a", "good"), row(1, "a", "gone")])
    await relayed(outbox, Sender(lambda *_: False), lambda: (1, "gone") not in outbox.rows, ShortList())
    assert state(outbox, 1, BAD) == "pending"


async def test_a_webhook_whose_sending_fails_begins_again_by_itself() -> None:
    outbox = Outbox()
    outbox.failures = 2
    await outbox.add([row(1, "a", BAD)])
    await relayed(outbox, Sender(lambda *_: False), lambda: state(outbox, 1, BAD) == "delivered")
    assert outbox.failures == 0

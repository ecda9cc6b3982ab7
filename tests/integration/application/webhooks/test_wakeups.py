"""What is written while a worker reads is not in its answer: the bell that rings for it must not be lost.

The database changes, and the bell has rung, when the answer is there and the worker has not seen it yet.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence

import pytest

from adapters.mongo.client import Database
from adapters.mongo.outbox.outbox import MongoOutbox
from adapters.mongo.outbox.webhooks import MongoWebhooks
from core.application.feed import Feed
from core.outbox.webhook import Webhook
from tests.integration.application.webhooks.stage import SECONDS, Stage, history_of
from tests.kit.outgoing import row, webhook
from tests.kit.receiver import receiving
from tests.kit.waiting import eventually
from tests.kit.workers import running


class Interruptions:
    """Counts how often each read was answered; `during[read, n]` runs before the n-th answer is passed on."""

    def __init__(self) -> None:
        self.during: dict[tuple[str, int], Callable[[], Awaitable[None]]] = {}
        self.answered: defaultdict[str, int] = defaultdict(int)

    async def interrupt(self, read: str) -> None:
        self.answered[read] += 1
        meanwhile = self.during.pop((read, self.answered[read]), None)
        if meanwhile is not None:
            await meanwhile()

    async def repeated(self, read: str, times: int) -> None:
        await eventually(f"{read} was read {times} times", lambda: self.answered[read] >= times)


class InterruptedOutbox(MongoOutbox):
    def __init__(self, database: Database, interruptions: Interruptions) -> None:
        super().__init__(database)
        self._interruptions = interruptions

    async def waiting(self) -> frozenset[str]:
        found = await super().waiting()
        await self._interruptions.interrupt("waiting")
        return found


class InterruptedWebhooks(MongoWebhooks):
    def __init__(self, database: Database, interruptions: Interruptions) -> None:
        super().__init__(database)
        self._interruptions = interruptions

    async def all(self) -> Sequence[Webhook]:
        found = await super().all()
        await self._interruptions.interrupt("webhooks")
        return found


@pytest.fixture
def reads(stage: Stage) -> Interruptions:
    made = Interruptions()
    stage.outbox = InterruptedOutbox(stage.connected, made)
    stage.webhooks = InterruptedWebhooks(stage.connected, made)
    return made


async def quiet(stage: Stage, feed: Feed) -> None:
    """Wait until the feed has told all that was written so far: the next bell is for the next write."""
    await stage.plant(history_of(1).events[:1])
    await eventually("the feed has come to the event", lambda: feed.position == 1)


async def heard(feed: Feed, topic: str, write: Awaitable[object]) -> None:
    """Write, and wait until the bell has rung for it."""
    bell = feed.bells.of(topic)
    await write
    async with asyncio.timeout(SECONDS):
        await bell.wait()


@pytest.mark.parametrize("look", [1, 2])
async def test_a_row_that_is_added_while_the_relay_looks_what_is_pending_is_sent(
    stage: Stage, reads: Interruptions, look: int
) -> None:
    async with receiving() as receiver, stage.feeding() as feed:
        await stage.hook(receiver)
        # What became of the rows before rings for the looks before.
        await stage.outbox.add([row(position) for position in range(1, look)])
        await quiet(stage, feed)
        reads.during["waiting", look] = lambda: heard(feed, "outbox", stage.outbox.add([row(look)]))
        async with running(stage.relay("a", feed)):
            await receiver.until("it is sent", receiver.had(look))


@pytest.mark.parametrize("look", [1, 2])
async def test_a_webhook_that_is_changed_while_the_relay_reads_it_is_read_again(
    stage: Stage, reads: Interruptions, look: int
) -> None:
    async with receiving() as old, receiving() as new, stage.feeding() as feed:
        await stage.hook(old)
        await quiet(stage, feed)
        reads.during["webhooks", look] = lambda: heard(feed, "webhooks", changed({"url": new.url}))

        async def changed(changes: dict[str, object]) -> None:
            await stage.webhooks.change("default", "hook", changes)

        async with running(stage.relay("a", feed)):
            for earlier in range(1, look):
                await reads.repeated("webhooks", earlier)
                await changed({"after": earlier})
            await reads.repeated("webhooks", look + 1)
            await stage.outbox.add([row(1)])
            await new.until("it is sent to the new address", new.had(1))
    assert old.deliveries == []


@pytest.mark.parametrize("look", [1, 2, 3, 4])
async def test_a_webhook_that_is_added_while_the_router_reads_them_joins(
    stage: Stage, reads: Interruptions, look: int
) -> None:
    """A router begins by reading them three times; that one joins makes it read them once more."""

    async def has_joined() -> bool:
        late = await stage.webhooks.get("default", "late")
        return late is not None and late.joined

    async with stage.feeding() as feed:
        # Behind the log's tail: joining is all there is to do, and rings once.
        first, late = webhook("first", after=1), webhook("late", after=1)
        if look == 4:
            await stage.webhooks.add(first)
        await quiet(stage, feed)
        reads.during["webhooks", look] = lambda: heard(feed, "webhooks", stage.webhooks.add(late))
        async with running(stage.router("a", feed)):
            await stage.until("it has joined", has_joined)

"""Which events are routed to which webhook, as webhooks come and go and the log is replaced."""

from typing import Any

import pytest

from adapters.mongo.codec import event_document
from adapters.mongo.coordination.checkpoints import MongoCheckpoints
from adapters.mongo.log.store import EVENTS
from adapters.mongo.outbox.outbox import OUTBOX
from adapters.webhook.formats.registry import FORMATS
from core.alarm.events import Event
from core.application.webhooks import router
from core.application.webhooks.router import ROUTING
from core.errors import Conflict
from core.lists.filter import Filter
from tests.integration.application.webhooks.stage import BATCH, Stage, check, history_of
from tests.kit.outgoing import webhook
from tests.kit.receiver import receiving
from tests.kit.waiting import eventually


async def test_a_webhook_disabled_by_410_goes_on_where_it_was_once_it_is_enabled(stage: Stage) -> None:
    history = history_of(3)

    async def has_left() -> bool:
        hook = await stage.webhooks.get("default", "hook")
        return hook is not None and not hook.enabled and not hook.joined

    async with receiving(lambda number: "gone" if number == 3 else "ok") as receiver:
        await stage.hook(receiver)
        await stage.plant(history.events[:6])
        async with stage.running():
            await stage.until("the webhook is disabled and has left", has_left)
            hook = await stage.webhooks.get("default", "hook")
            assert hook is not None
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


async def test_a_webhook_from_now_on_gets_what_its_filter_matches_behind_the_tail(stage: Stage) -> None:
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


async def test_what_cannot_be_rendered_is_given_up_and_all_else_is_sent(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    history, render = history_of(3), FORMATS["cloudevents"].render

    def broken(event: Event, *, left: bool) -> bytes | None:
        if event.position == 2:
            raise ZeroDivisionError("a bug")
        return render(event, left=left)

    monkeypatch.setattr(
        type(FORMATS["cloudevents"]), "render", lambda _, event, *, left: broken(event, left=left)
    )
    async with receiving() as receiver:
        await stage.hook(receiver)
        await stage.plant(history.events)
        async with stage.running():
            await receiver.until("the rest", lambda: len(receiver.taken) >= len(history.events) - 1)
            await stage.settled()
    assert {each.position for each in receiver.deliveries} == {
        event.position for event in history.events if event.position != 2
    }
    row = await stage.connected[OUTBOX].find_one({"_id": "2:hook"})
    assert row is not None
    assert (row["state"], row["error"]) == (
        "dead",
        "its event could not be rendered: ZeroDivisionError: a bug",
    )
    assert row["expires_at"] > row["settled_at"]
    with pytest.raises(Conflict, match="no body"):
        await stage.outgoing.retry("default", "2:hook")
    assert (await stage.outgoing.retry_all("default", None, None)).retried == 0


class CountingCheckpoints(MongoCheckpoints):
    """Counts how often a checkpoint is written."""

    writes = 0

    async def advance(self, *args: Any) -> bool:
        self.writes += 1
        return await super().advance(*args)


async def test_without_webhooks_nothing_is_routed_and_no_checkpoint_is_written_but_the_first(
    stage: Stage,
) -> None:
    stage.checkpoints = checkpoints = CountingCheckpoints(stage.connected)
    events = history_of(10).events

    async def has_begun() -> bool:
        return (await checkpoints.load(ROUTING)).position == 10

    await stage.plant(events[:10])
    async with stage.running():
        await stage.until("the router begins at the tail", has_begun)
        await stage.plant(events[10:])
        await eventually("the router has seen all", lambda: stage.routed == len(events))
    assert checkpoints.writes == 1
    assert await stage.connected[OUTBOX].count_documents({}) == 0


async def test_events_that_are_for_no_webhook_move_the_checkpoint_once_in_a_while(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    idle = 5 * BATCH
    monkeypatch.setattr(router, "IDLE_EVENTS", idle)
    stage.checkpoints = checkpoints = CountingCheckpoints(stage.connected)
    events = history_of(40).events

    async def has_joined() -> bool:
        return all(hook.joined for hook in await stage.webhooks.all())

    async def has_come_far_enough() -> bool:
        return (await checkpoints.load(ROUTING)).position > len(events) - idle

    await stage.webhooks.add(webhook(filter=Filter(sources=frozenset({"elsewhere"}))))
    async with stage.running():
        await stage.until("the webhook has joined", has_joined)
        await stage.plant(events)
        await stage.until("the checkpoint has moved", has_come_far_enough)
    # One to begin with, and one when the webhook joined.
    assert checkpoints.writes <= 2 + len(events) // idle
    assert await stage.connected[OUTBOX].count_documents({}) == 0

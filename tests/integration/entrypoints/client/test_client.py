"""The Python client against a server that does what a test says."""

import asyncio
import base64
from typing import Any

import msgspec
import pytest

from core.alarm.alarm import Alarm
from core.delivery.protocol import EventMessage, EventsMessage, Subscribe
from core.errors import InvalidInput
from core.lists.filter import Filter
from entrypoints.client.errors import StreamEnded, SubscriptionRefused
from entrypoints.client.stream import LONGEST_PAUSE, TocsinStream, jittered
from entrypoints.client.subscription import (
    WAITING_MESSAGES,
    ClientSubscription,
    Item,
    SnapshotPage,
    StartOver,
)
from tests.kit.delivery import Plant
from tests.kit.scripted import Scripted, scripted
from tests.kit.streams import streaming

pytestmark = pytest.mark.timeout(30)


def event(position: int) -> dict[str, Any]:
    made = Plant().reported("pump/1")
    told = {name: getattr(made, name) for name in EventMessage.__struct_fields__ if name != "left"}
    plain: dict[str, Any] = msgspec.to_builtins(told | {"position": position}, builtin_types=(type(made.at),))
    return plain


def told(position: int) -> EventMessage:
    return msgspec.convert(event(position), EventMessage)


def at_once(_failures: int) -> float:
    return 0.0


async def take(subscription: ClientSubscription, count: int) -> list[Item]:
    async with asyncio.timeout(10):
        return [await anext(subscription) for _ in range(count)]


def positions(items: list[Item]) -> list[int]:
    return [item.position for item in items if isinstance(item, EventMessage)]


async def events(server: Scripted, asked: dict[str, Any], *numbers: int, position: int | None = None) -> None:
    last = numbers[-1] if position is None else position
    await server.say(op="events", id=asked["id"], events=[event(n) for n in numbers], position=last)


async def test_a_client_resumes_behind_what_it_got_and_drops_what_it_had() -> None:
    async def first(server: Scripted) -> None:
        asked = await server.subscribed(4)
        assert "after" not in asked or asked["after"] is None
        await events(server, asked, 5, 7, position=8)
        await server.close(1012)

    async def second(server: Scripted) -> None:
        asked = await server.subscribed(8)
        assert (asked["after"], asked["log"]) == (8, "log-1")
        await events(server, asked, 7, 8, 9)
        await events(server, asked, 9, 12)
        await server.say(op="position", id=asked["id"], position=30)
        await events(server, asked, 31)
        await server.ended()

    async with scripted(first, second) as url, TocsinStream(url, pause=at_once) as stream:
        subscription = stream.subscribe()
        assert positions(await take(subscription, 5)) == [5, 7, 9, 12, 31]
        assert (subscription.position, subscription.log) == (31, "log-1")


async def test_a_consumer_may_stop_in_the_middle_of_a_message_and_go_on() -> None:
    async def script(server: Scripted) -> None:
        asked = await server.subscribed(0)
        await events(server, asked, 1, 2, 3)
        await server.ended()

    async with scripted(script) as url, TocsinStream(url) as stream:
        subscription = stream.subscribe()
        async for _ in subscription:
            break
        assert subscription.position == 1
        assert positions(await take(subscription, 2)) == [2, 3]


async def test_a_replaced_log_is_told_and_followed_by_a_new_snapshot() -> None:
    async def script(server: Scripted) -> None:
        asked = await server.subscribed(5)
        assert asked["snapshot"] is True
        await server.say(op="snapshot", id=asked["id"], alarms=[], position=5, done=True)
        await server.hello("log-2")
        await server.say(op="reset", id=asked["id"], reason="log_changed")
        again = await server.hear()
        assert (again["snapshot"], again.get("after"), again["id"] != asked["id"]) == (True, None, True)
        await server.say(op="subscribed", id=again["id"], position=0)
        await server.say(op="snapshot", id=again["id"], alarms=[], position=0, done=True)
        await events(server, again, 1)
        await server.ended()

    async with scripted(script) as url, TocsinStream(url) as stream:
        subscription = stream.subscribe(snapshot=True)
        page, start_over, new_page, _ = await take(subscription, 4)
        assert page == new_page == SnapshotPage(alarms=[], first=True, done=True)
        assert start_over == StartOver("log_changed")
        assert (subscription.position, subscription.log, stream.log) == (1, "log-2", "log-2")


async def test_a_snapshot_that_was_cut_off_begins_again() -> None:
    async def first(server: Scripted) -> None:
        asked = await server.subscribed(5)
        await server.say(op="snapshot", id=asked["id"], alarms=[], position=5, done=False)
        await server.close(1012)

    async def second(server: Scripted) -> None:
        asked = await server.subscribed(6)
        assert asked["snapshot"] is True
        await server.say(op="snapshot", id=asked["id"], alarms=[], position=6, done=False)
        await server.say(op="snapshot", id=asked["id"], alarms=[], position=6, done=True)
        await server.ended()

    async with scripted(first, second) as url, TocsinStream(url, pause=at_once) as stream:
        pages = await take(stream.subscribe(snapshot=True), 3)
    told = [(page.first, page.done) for page in pages if isinstance(page, SnapshotPage)]
    assert told == [(True, False), (True, False), (False, True)]


async def test_a_real_server_sends_a_snapshot_and_what_came_after_it() -> None:
    async with streaming() as streams, TocsinStream(streams.url) as stream:
        first = streams.plant.reported("pump/1")
        streams.publish(first)
        subscription = stream.subscribe(snapshot=True, filter=Filter(sources=frozenset({"pump/*"})))
        rows: list[Alarm] = []
        async for page in subscription:
            assert isinstance(page, SnapshotPage)
            rows += page.alarms
            if page.done:
                break
        streams.publish(streams.plant.reported("boiler"), streams.plant.reported("pump/2"))
        (came,) = await take(subscription, 1)
    assert rows == [first.alarm]
    assert isinstance(came, EventMessage)
    assert (came.position, came.alarm.source, came.left) == (3, "pump/2", False)


def test_pauses_double_are_jittered_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.random", lambda: 1.0)
    assert [jittered(failures) for failures in (1, 2, 3, 5, 9, 1_000)] == [1, 2, 4, 15, 15, 15]
    monkeypatch.setattr("random.random", lambda: 0.1)
    assert jittered(1_000) == LONGEST_PAUSE / 10


async def test_a_goodbye_says_when_to_come_back_and_failures_are_counted() -> None:
    counted: list[int] = []

    def pause(failures: int) -> float:
        counted.append(failures)
        return 0.0

    async def refuse(server: Scripted) -> None:
        await server.hello()
        await server.close(4429)

    async def leave(server: Scripted) -> None:
        await server.hello()
        await server.say(op="goodbye", reason="restart", retry_after_ms=1)
        await server.close(1012)

    async with scripted(refuse, refuse, leave, refuse) as url, TocsinStream(url, pause=pause) as stream:
        with pytest.raises(StreamEnded, match="4403"):
            await take(stream.subscribe(), 1)
    assert counted == [1, 2, 4]


@pytest.mark.parametrize("code", [4400, 4401, 4403, 4409])
async def test_a_refusal_that_coming_back_would_not_change_is_the_end(code: int) -> None:
    async def script(server: Scripted) -> None:
        await server.hello()
        await server.close(code)

    async with scripted(script) as url, TocsinStream(url, pause=at_once) as stream:
        with pytest.raises(StreamEnded, match=str(code)):
            await take(stream.subscribe(), 1)
        with pytest.raises(StreamEnded, match=str(code)):
            await take(stream.subscribe(), 1)


async def test_the_first_message_is_the_token_and_a_refused_one_is_not_used_again() -> None:
    told: list[bool] = []

    async def token(refused: bool) -> str:
        told.append(refused)
        return f"t{len(told)}"

    async def refuse(server: Scripted) -> None:
        assert await server.hear() == {"op": "auth", "token": "t1"}
        await server.close(4401)

    async def accept(server: Scripted) -> None:
        assert await server.hear() == {"op": "auth", "token": "t2"}
        asked = await server.subscribed(0)
        await events(server, asked, 1)
        await server.ended()

    async with scripted(refuse, accept) as url, TocsinStream(url, token=token, pause=at_once) as stream:
        await take(stream.subscribe(), 1)
    assert told == [False, True]


async def test_a_token_is_renewed_on_the_same_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("entrypoints.client.token.REFRESH_EVERY", 0.0)
    expired = "e30." + base64.urlsafe_b64encode(b'{"exp":1}').decode().rstrip("=") + ".x"
    tokens = iter([expired, "for-ever"])

    async def token(_refused: bool) -> str:
        return next(tokens)

    async def script(server: Scripted) -> None:
        assert (await server.hear())["token"] == expired
        await server.hello()
        asked, renewed = sorted([await server.hear(), await server.hear()], key=lambda said: -len(said))
        assert renewed == {"op": "auth", "token": "for-ever"}
        await server.hello()
        await server.say(op="subscribed", id=asked["id"], position=0)
        await events(server, asked, 1)
        await server.ended()

    async with scripted(script) as url, TocsinStream(url, token=token) as stream:
        assert positions(await take(stream.subscribe(), 1)) == [1]


async def test_a_client_gives_up_when_its_patience_ends() -> None:
    async with TocsinStream("ws://127.0.0.1:1/", patience=0, pause=at_once) as stream:
        with pytest.raises(StreamEnded, match="no server for 0 s"):
            await take(stream.subscribe(), 1)


async def test_a_url_that_is_no_streams_is_the_end() -> None:
    async with TocsinStream("http://127.0.0.1:1/") as stream:
        with pytest.raises(StreamEnded):
            await take(stream.subscribe(), 1)


async def test_a_refused_subscription_says_why_and_an_unavailable_one_is_asked_for_again() -> None:
    async def script(server: Scripted) -> None:
        await server.hello()
        for code in ("unavailable", "invalid"):
            asked = await server.hear()
            await server.say(op="error", id=asked["id"], code=code, detail="so")
        await server.ended()

    async with scripted(script) as url, TocsinStream(url, pause=at_once) as stream:
        with pytest.raises(SubscriptionRefused, match="invalid: so"):
            await take(stream.subscribe(), 1)


async def test_a_closed_subscription_is_over_and_the_others_go_on() -> None:
    async def script(server: Scripted) -> None:
        await server.hello()
        asked, kept = await server.hear(), await server.hear()
        await events(server, asked, 1)
        assert await server.hear() == {"op": "unsubscribe", "id": asked["id"]}
        await events(server, asked, 2)
        await events(server, kept, 2)
        await server.ended()

    async with scripted(script) as url, TocsinStream(url) as stream:
        async with stream.subscribe() as subscription:
            other = stream.subscribe()
            assert positions(await take(subscription, 1)) == [1]
        assert positions(await take(other, 1)) == [2]
        assert [item async for item in subscription] == []


async def test_a_slow_consumer_holds_the_reading_back() -> None:
    subscription = ClientSubscription(Subscribe(id="a"), lambda _: None)
    for number in range(WAITING_MESSAGES):
        await subscription.take(EventsMessage(id="a", events=[told(number)], position=number), "log-1")
    last = EventsMessage(id="a", events=[told(WAITING_MESSAGES)], position=WAITING_MESSAGES)
    reading = asyncio.create_task(subscription.take(last, "log-1"))
    done, _ = await asyncio.wait({reading}, timeout=0)
    assert not done
    items = await take(subscription, WAITING_MESSAGES + 1)
    assert positions(items) == list(range(WAITING_MESSAGES + 1))
    assert reading.done()


async def test_messages_of_a_newer_server_are_passed_over() -> None:
    async def script(server: Scripted) -> None:
        asked = await server.subscribed(0)
        await server.say(op="weather", sunny=True)
        await events(server, asked, 1)
        await server.say(op="events", id=asked["id"], events="not what it was", position=2)
        await server.ended()

    async with scripted(script) as url, TocsinStream(url) as stream:
        subscription = stream.subscribe()
        assert positions(await take(subscription, 1)) == [1]
        with pytest.raises(StreamEnded, match="another version"):
            await take(subscription, 1)


async def test_a_subscription_that_the_server_would_refuse_is_refused_by_the_client() -> None:
    async with TocsinStream("ws://127.0.0.1:1/") as stream:
        with pytest.raises(ValueError, match="starts over"):
            stream.subscribe(after=1, snapshot=True)
        with pytest.raises(InvalidInput):
            stream.subscribe(filter=Filter(sources=frozenset({"x" * 1_000})))
        for _ in range(32):
            stream.subscribe()
        with pytest.raises(ValueError, match="32"):
            stream.subscribe()

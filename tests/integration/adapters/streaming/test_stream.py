import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Sequence

import msgspec
import pytest
from websockets.exceptions import ConnectionClosed

from adapters.memory.checkpoints import KeptCheckpoint
from adapters.streaming.snapshot_places import SnapshotPlaces
from adapters.uvicorn.websocket import StreamProtocol
from core.alarm.alarm import Alarm
from core.delivery.limits import Limits
from core.delivery.pages import PAGE_EVENTS
from core.errors import Unavailable
from core.log.ports import Page
from tests.kit.streams import StreamClient, Streams, streaming

BIG = "x" * 4_000


@pytest.fixture
async def streams() -> AsyncIterator[Streams]:
    async with streaming() as running:
        yield running


async def test_hello_comes_first_and_tells_log_and_position(streams: Streams) -> None:
    streams.raise_many(3)
    async with streams.client() as client:
        assert await client.hear() == {"op": "hello", "log": "log-1", "position": 3}


@pytest.mark.parametrize("subprotocol", ["tocsin.v1.json", "tocsin.v1.msgpack", None])
async def test_a_subscriber_sees_what_matches(streams: Streams, subprotocol: str | None) -> None:
    async with streams.client(subprotocol=subprotocol) as client:
        assert await client.subscribed(filter={"sources": ["boiler/*"], "min_severity": "major"}) == 0
        streams.publish(
            streams.plant.reported("boiler/1", "critical", text="hot"),
            streams.plant.reported("pump/1", "critical"),
            streams.plant.reported("boiler/2", "warning"),
        )
        message = await client.hear()
    assert (message["op"], message["id"], message["position"]) == ("events", "a", 3)
    (event,) = message["events"]
    assert set(event) == {
        "position", "event_id", "type", "at", "occurred_at", "actor", "revision", "data", "alarm",
    }  # fmt: skip
    assert (event["position"], event["type"], event["revision"]) == (1, "alarm.raised", 1)
    assert event["actor"] == {"id": "someone", "kind": "source"}
    assert event["alarm"]["text"] == "hot"


@pytest.mark.parametrize("subprotocol", ["tocsin.v1.json", "tocsin.v1.msgpack"])
async def test_an_alarm_that_leaves_the_filter_says_so(streams: Streams, subprotocol: str) -> None:
    async with streams.client(subprotocol=subprotocol) as client:
        await client.subscribed(filter={"min_severity": "major"})
        streams.publish(
            streams.plant.reported("pump/1", "critical"), streams.plant.reported("pump/1", "warning")
        )
        raised, updated = await client.events(until=2)
    assert "left" not in raised
    assert updated["left"] is True
    assert updated["data"]["previous"] == {"severity": "critical"}


@pytest.mark.parametrize("ring_events", [10_000, 50])
async def test_a_client_that_comes_back_gets_what_it_missed_once_and_in_order(ring_events: int) -> None:
    count = 3 * PAGE_EVENTS + 7
    async with streaming(ring_events=ring_events) as streams:
        async with streams.client() as client:
            await client.subscribed()
            streams.raise_many(10)
            seen = await client.events(until=10)
        streams.raise_many(count)
        async with streams.client() as client:
            assert await client.subscribed(after=10, log="log-1") == 10
            streams.raise_many(5)
            seen += await client.events(until=count + 15)
    assert [event["position"] for event in seen] == list(range(1, count + 16))


async def test_events_of_another_tenant_stay_out_of_sight(streams: Streams) -> None:
    async with streams.client() as client:
        await client.subscribed()
        streams.publish(streams.plant.reported("pump/1", tenant="other"), streams.plant.reported("pump/1"))
        (event,) = await client.events(until=2)
    assert event["alarm"]["tenant"] == "default"


async def test_a_snapshot_is_followed_by_what_came_after_it(streams: Streams) -> None:
    streams.raise_many(1_200)
    normal = streams.plant.reported("quiet")
    streams.publish(normal)
    for _ in range(2):
        ended = streams.plant.ended(streams.plant.events[-1].alarm)
        assert ended is not None
        streams.publish(ended)
    position = len(streams.plant.events)
    async with streams.client() as client:
        assert await client.subscribed(snapshot=True) == position
        rows = await client.snapshot(position)
        streams.raise_many(1)
        (event,) = await client.events(until=position + 1)
    assert {row["id"] for row in rows} == {
        alarm.id for alarm in streams.plant.alarms.values() if alarm.state != "normal"
    }
    assert event["position"] == position + 1


async def test_a_message_that_is_no_json_is_answered_and_closes(streams: Streams) -> None:
    async with streams.client() as client:
        await client.hear()
        await client.connection.send("{nonsense")
        error = await client.hear()
        code, reason = await client.closed()
    assert (error["op"], error["code"]) == ("error", "bad_message")
    assert "JSON" in error["detail"]
    assert (code, reason) == (4400, "bad_message")


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ('{"op":"subscribe","id":"a","afterr":1}', "unknown field `afterr`"),
        ('{"op":"subscribe","id":"a","filter":{"source":["x"]}}', "unknown field `source`"),
        ('{"op":"subscribe","id":"a","filter":{"min_severity":"bad"}}', "Invalid enum value 'bad'"),
        ('{"op":"subscribe","id":""}', "length >= 1"),
        ('{"op":"dance"}', "Invalid value 'dance'"),
        ('{"op":"subscribe","id":"a","after":-1}', ">= 0"),
        ('{"deep":' + "[" * 10_000, "recursion"),
        ('"hello"', "Expected `object`"),
    ],
)
async def test_a_bad_message_is_answered_with_what_is_wrong(
    streams: Streams, message: str, said: str
) -> None:
    async with streams.client() as client:
        await client.hear()
        await client.connection.send(message)
        error = await client.hear()
        code, _ = await client.closed()
    assert said in error["detail"]
    assert code == 4400


async def test_a_binary_message_closes_a_session_in_json(streams: Streams) -> None:
    async with streams.client() as client:
        await client.hear()
        await client.connection.send(b'{"op":"unsubscribe","id":"a"}')
        assert "text messages" in (await client.hear())["detail"]
        assert (await client.closed())[0] == 4400


async def test_a_message_that_is_too_big_closes(streams: Streams) -> None:
    async with streams.client() as client:
        await client.hear()
        with contextlib.suppress(Exception):
            await client.connection.send(f'"{"x" * 70_000}"')
        assert (await client.closed())[0] == 1009


async def test_a_filter_out_of_bounds_is_refused_and_the_session_goes_on(streams: Streams) -> None:
    async with streams.client() as client:
        await client.hear()
        await client.say(op="subscribe", id="a", filter={"sources": [f"s{n}" for n in range(200)]})
        error = await client.hear()
        assert (error["id"], error["code"]) == ("a", "invalid")
        await client.say(op="subscribe", id="a", filter={"sources": ["s1"]})
        assert (await client.hear())["op"] == "subscribed"


async def test_a_position_ahead_of_the_log_is_reset(streams: Streams) -> None:
    streams.raise_many(3)
    async with streams.client() as client:
        await client.hear()
        await client.say(op="subscribe", id="a", after=99, log="log-1")
        assert await client.hear() == {"op": "reset", "id": "a", "reason": "position_ahead"}
        await client.say(op="subscribe", id="a", snapshot=True)
        assert (await client.hear())["op"] == "subscribed"


async def test_a_position_that_only_this_process_has_not_read_is_none_ahead(streams: Streams) -> None:
    streams.raise_many(3)
    late = [streams.plant.reported("late", text=str(number)) for number in range(3)]
    streams.record(*late)
    async with streams.client() as client:
        assert await client.subscribed(after=5, log="log-1") == 5
        streams.driver.publish(late)
        (event,) = await client.events(until=6)
    assert event["position"] == 6


async def test_a_position_of_another_log_is_reset(streams: Streams) -> None:
    async with streams.client() as client:
        await client.hear()
        await client.say(op="subscribe", id="a", after=0, log="log-0")
        assert await client.hear() == {"op": "reset", "id": "a", "reason": "log_changed"}


async def test_when_the_log_is_replaced_every_subscription_starts_over(streams: Streams) -> None:
    async with streams.client() as client:
        await client.subscribed()
        streams.raise_many(2)
        await client.events(until=2)
        streams.driver.reset("log-2", 1)
        assert await client.hear() == {"op": "hello", "log": "log-2", "position": 1}
        assert await client.hear() == {"op": "reset", "id": "a", "reason": "log_changed"}


async def test_a_duplicate_subscription_closes(streams: Streams) -> None:
    async with streams.client() as client:
        await client.subscribed()
        await client.say(op="subscribe", id="a")
        error = await client.hear()
        code, reason = await client.closed()
    assert (error["id"], error["code"]) == ("a", "duplicate_id")
    assert (code, reason) == (4409, "duplicate_id")


async def test_too_many_subscriptions_close(streams: Streams) -> None:
    async with streams.client() as client:
        await client.hear()
        for number in range(33):
            await client.say(op="subscribe", id=f"s{number}")
        answers = [await client.hear() for _ in range(33)]
        code, _ = await client.closed()
    assert [answer["op"] for answer in answers] == ["subscribed"] * 32 + ["error"]
    assert code == 4429


async def test_a_client_that_talks_too_fast_is_closed() -> None:
    async with (
        streaming(limits=Limits(messages_per_second=0.1, subscriptions=2)) as streams,
        streams.client() as client,
    ):
        await client.subscribed()
        for _ in range(3):
            await client.say(op="unsubscribe", id="x")
        codes = [(await client.hear())["code"] for _ in range(3)]
        assert codes == ["unknown_subscription", "unknown_subscription", "too_many_messages"]
        assert await client.closed() == (4429, "too_many_messages")


async def test_a_limit_is_said_with_its_number() -> None:
    limits = Limits(filter_values=2, subscriptions=1, message_bytes=100)
    async with streaming(limits=limits) as streams, streams.client() as client:
        await client.hear()
        await client.say(op="subscribe", id="a", filter={"types": ["x", "y", "z"]})
        assert (await client.hear())["detail"] == "a filter has at most 2 types, not 3"
        await client.connection.send(f'{{"op":"unsubscribe","id":"{"x" * 100}"}}')
        assert (await client.hear())["detail"] == "a message has at most 100 bytes"
        assert (await client.closed())[0] == 4400


async def test_a_list_of_the_log_that_was_is_no_snapshot(streams: Streams) -> None:
    streams.raise_many(5)
    older = streams.checkpoints.kept["alarms"]
    of_the_log_that_was = msgspec.structs.replace(older.checkpoint, position=9, event_id="gone")
    streams.checkpoints.kept["alarms"] = KeptCheckpoint(of_the_log_that_was)
    async with streams.client() as client:
        await client.hear()
        await client.say(op="subscribe", id="a", snapshot=True)
        await asyncio.wait_for(asked(streams), 5)
        streams.checkpoints.kept["alarms"] = older
        assert (await client.hear()) == {"op": "subscribed", "id": "a", "position": 5}
        assert len(await client.snapshot(5)) == 5


async def asked(streams: Streams) -> None:
    """Wait until a snapshot is under way."""
    while not streams.driver._fetching._tasks:
        await asyncio.sleep(0)


async def test_snapshots_nobody_reads_hold_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.streaming.fetching.LIST_READS", 1)
    async with streaming() as streams, streams.client(close_timeout=0.1) as slow, streams.client() as quick:
        for number in range(700):
            streams.publish(streams.plant.reported(f"plant/{number}", text=BIG))
        await slow.hear()
        slow.connection.transport.pause_reading()
        await slow.say(op="subscribe", id="a", snapshot=True)
        async with asyncio.timeout(10):
            while not any(session.busy for session in streams.driver._delivery.sessions):
                await asyncio.sleep(0)
        await quick.subscribed(snapshot=True)
        assert len(await quick.snapshot(700)) == 700


async def test_a_session_gets_one_snapshot_at_a_time(
    streams: Streams, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan, under_way, most = streams.alarms.scan, 0, 0

    async def counting(tenant: str | None = None) -> AsyncIterator[Sequence[Alarm]]:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        try:
            async for rows in scan(tenant):
                yield rows
        finally:
            under_way -= 1

    monkeypatch.setattr(streams.alarms, "scan", counting)
    streams.raise_many(1_200)
    async with streams.client() as client, streams.client() as other:
        await client.hear()
        for name in "abcd":
            await client.say(op="subscribe", id=name, snapshot=True)
        await client.say(op="unsubscribe", id="b")
        for name in "acd":
            while (message := await client.hear())["op"] != "subscribed" or message["id"] != name:
                assert message["id"] == "b"
            rows = await client.snapshot(1_200)
            assert len(rows) == 100
        assert most == 1
        assert await other.subscribed(snapshot=True) == 1_200
        assert len(await other.snapshot(1_200)) == 100
    assert (under_way, len(streams.driver._fetching._places)) == (0, 0)


async def test_the_snapshots_of_one_subject_wait_for_each_other_and_for_no_other() -> None:
    places, ended = SnapshotPlaces(2), asyncio.Event()

    async def take(subject: str) -> None:
        async with places.taken("default", subject):
            had.append(subject)
            await ended.wait()

    had: list[str] = []
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        for subject in "aaabb":
            tasks.create_task(take(subject))
        while len(had) < 4:
            await asyncio.sleep(0)
        assert had == ["a", "a", "b", "b"]
        ended.set()
    assert (had[4:], len(places)) == (["a"], 0)


async def test_a_session_has_several_subscriptions_and_one_may_end(streams: Streams) -> None:
    async with streams.client() as client:
        await client.subscribed("a", filter={"sources": ["x"]})
        await client.say(op="subscribe", id="b", filter={"sources": ["x", "y"]})
        await client.hear()
        streams.publish(streams.plant.reported("x"))
        assert {(await client.hear())["id"] for _ in range(2)} == {"a", "b"}
        await client.say(op="unsubscribe", id="b")
        await client.say(op="unsubscribe", id="b")
        assert (await client.hear())["code"] == "unknown_subscription"
        streams.publish(streams.plant.reported("y"), streams.plant.reported("x"))
        message = await client.hear()
    assert (message["id"], len(message["events"])) == ("a", 1)


async def test_a_client_that_need_not_say_who_it_is_may_say_so(streams: Streams) -> None:
    async with streams.client() as client:
        await client.hear()
        await client.say(op="auth", token="whatever")
        assert (await client.hear())["op"] == "hello"


async def stalled(client: StreamClient, *, conflate: bool = False) -> None:
    """Subscribe, then take nothing more off the socket."""
    await client.subscribed(conflate=conflate)
    client.connection.transport.pause_reading()


async def test_a_client_that_takes_nothing_is_closed_and_harms_nobody() -> None:
    async with (
        streaming(limits=Limits(stall_seconds=0.5)) as streams,
        streams.client() as slow,
        streams.client() as quick,
    ):
        await stalled(slow)
        await quick.subscribed()
        for round_ in range(10):
            streams.raise_many(400, text=f"{round_}{BIG}")
            events = await quick.events(until=400 * (round_ + 1))
            assert len(events) == 400
        while streams.driver.sessions > 1:
            await asyncio.sleep(0.01)
        slow.connection.transport.resume_reading()
        code, reason = await slow.closed()
        assert (code, reason) == (4408, "too slow")
        streams.raise_many(1)
        await quick.events(until=4_001)


async def test_a_client_that_never_reads_again_keeps_no_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    async with (
        streaming(limits=Limits(stall_seconds=0.2)) as streams,
        streams.client(close_timeout=0.1) as slow,
    ):
        await stalled(slow)
        lost = asyncio.Event()
        original = StreamProtocol.connection_lost
        monkeypatch.setattr("adapters.uvicorn.websocket.CUT_SECONDS", 0.2)

        def connection_lost(self: StreamProtocol, exc: Exception | None) -> None:
            original(self, exc)
            lost.set()

        monkeypatch.setattr(StreamProtocol, "connection_lost", connection_lost)
        streams.raise_many(3_000, text=BIG)
        async with asyncio.timeout(20):
            await lost.wait()


async def filled(streams: Streams) -> int:
    """Publish until a socket is full; return the position of the last event."""
    async with asyncio.timeout(10):
        while not any(session.busy for session in streams.driver._delivery.sessions):
            streams.raise_many(100, text=f"{len(streams.plant.events)}{BIG}")
            await asyncio.sleep(0)
    return len(streams.plant.events)


async def test_a_client_that_was_slow_gets_all_it_missed(streams: Streams) -> None:
    async with streams.client() as client:
        await stalled(client)
        last = await filled(streams) + 1_000
        streams.raise_many(1_000, text=BIG)
        client.connection.transport.resume_reading()
        events = await client.events(until=last)
    assert [event["position"] for event in events] == list(range(1, last + 1))


async def test_a_slow_client_that_conflates_gets_the_newest_of_each_alarm(streams: Streams) -> None:
    async with streams.client() as client:
        await stalled(client, conflate=True)
        full = await filled(streams)
        # Nothing is awaited in between: all of them wait before the socket can take any.
        streams.raise_many(1_000, text=BIG)
        client.connection.transport.resume_reading()
        events = await client.events(until=full + 1_000)
    positions = [event["position"] for event in events]
    assert positions == sorted(set(positions))
    assert [position for position in positions if position > full] == list(range(full + 901, full + 1_001))


async def test_draining_says_goodbye_and_when_to_come_back(streams: Streams) -> None:
    async with streams.client() as client, streams.client() as other:
        await client.subscribed()
        await other.subscribed()
        draining = asyncio.ensure_future(streams.driver.drain(2.0))
        for each in (client, other):
            goodbye = await each.hear()
            assert (goodbye["op"], goodbye["reason"]) == ("goodbye", "restart")
            assert 0 <= goodbye["retry_after_ms"] <= 5_000
            assert (await each.closed())[0] == 1012
        await draining
        assert streams.driver.sessions == 0
        async with streams.client() as late:
            assert [(await late.hear())["op"] for _ in range(2)] == ["hello", "goodbye"]
            assert (await late.closed())[0] == 1012


@pytest.mark.parametrize(
    ("origin", "code"),
    [(None, 0), ("https://console.example", 0), ("https://evil.example", 4403), ("null", 4403)],
)
async def test_pages_of_other_origins_are_refused(origin: str | None, code: int) -> None:
    async with (
        streaming(allowed_origins=["https://console.example"]) as streams,
        streams.client(origin=origin) as client,
    ):
        if code:
            assert (await client.closed())[0] == code
        else:
            assert (await client.hear())["op"] == "hello"


async def test_a_page_of_the_same_host_may_connect(streams: Streams) -> None:
    origin = streams.url.removesuffix("/v1/stream").replace("ws:", "http:")
    async with streams.client(origin=origin) as client:
        assert (await client.hear())["op"] == "hello"


async def test_an_unknown_subprotocol_is_refused(streams: Streams) -> None:
    async with streams.client(subprotocol="graphql-ws") as client:
        code, reason = await client.closed()
    assert code == 4400
    assert "tocsin.v1.json" in reason


async def test_a_session_is_forgotten_with_its_socket(streams: Streams) -> None:
    async with streams.client() as client:
        await client.subscribed()
        assert streams.driver.sessions == 1
    async with asyncio.timeout(5):
        while streams.driver.sessions:
            await asyncio.sleep(0)


async def test_a_client_whose_events_cannot_be_read_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async with streaming(ring_events=5) as broken, broken.client() as client:
        broken.raise_many(20)

        async def read(_after: int, _limit: int) -> None:
            raise ValueError("a document that nobody understands")

        monkeypatch.setattr(broken.log, "read", read)
        await client.subscribed(after=1)
        error = await client.hear()
    assert (error["op"], error["id"], error["code"]) == ("error", "a", "unavailable")


async def test_while_the_log_is_away_a_client_waits_and_then_misses_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with streaming(ring_events=5) as streams, streams.client() as client:
        streams.raise_many(20)
        reading, failures = streams.log.read, iter([Unavailable("away")] * 3)

        async def read(after: int, limit: int) -> Page:
            for failure in failures:
                raise failure
            return await reading(after, limit)

        monkeypatch.setattr(streams.log, "read", read)
        await client.subscribed(after=1)
        events = await client.events(until=20)
    assert [event["position"] for event in events] == list(range(2, 21))


async def test_a_flood_of_messages_from_a_client_that_reads_nothing_is_bounded() -> None:
    small = socket.socket()
    small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    async with streaming(limits=Limits(stall_seconds=0.5, messages_per_second=1e9)) as streams:
        small.connect(streams.address)
        small.setblocking(False)
        async with streams.client(sock=small, close_timeout=0.1) as client:
            await client.hear()
            client.connection.transport.pause_reading()
            with contextlib.suppress(ConnectionClosed):
                async with asyncio.timeout(20):
                    while streams.driver.sessions:
                        await client.say(op="unsubscribe", id="x" * 64)
            assert streams.driver.sessions == 0

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import pytest

from adapters.uvicorn.http import HttpProtocol
from core.delivery.limits import Limits
from tests.kit.eventsource import event_source
from tests.kit.streams import Streams, streaming

BIG = "x" * 4_000


@pytest.fixture
async def streams() -> AsyncIterator[Streams]:
    async with streaming() as running:
        yield running


async def test_a_follower_is_told_where_it_is_and_then_what_happens(streams: Streams) -> None:
    streams.raise_many(3)
    async with event_source(streams.events_url, source="boiler/*", min_severity="major") as source:
        assert source.response.headers["content-type"] == "text/event-stream"
        subscribed = await source.expect("subscribed")
        assert (subscribed.data, subscribed.id) == ({"log": "log-1", "position": 3}, "log-1:3")
        assert 1_000 <= source.retry <= 4_000
        streams.publish(
            streams.plant.reported("boiler/1", "critical"),
            streams.plant.reported("pump/1", "critical"),
            streams.plant.reported("boiler/1", "warning"),
        )
        raised, updated = await source.hear(), await source.hear()
    assert (raised.event, raised.id, raised.data["position"]) == ("alarm.raised", "log-1:4", 4)
    assert (updated.event, updated.id, updated.data["left"]) == ("alarm.updated", "log-1:6", True)
    assert set(raised.data) == {
        "position", "event_id", "type", "at", "occurred_at", "actor", "revision", "data", "alarm",
    }  # fmt: skip


@pytest.mark.parametrize("ring_events", [10_000, 50])
async def test_who_comes_back_gets_what_was_missed_once_and_in_order(ring_events: int) -> None:
    async with streaming(ring_events=ring_events) as streams:
        async with event_source(streams.events_url) as source:
            await source.expect("subscribed")
            streams.raise_many(10)
            seen = await source.events(until=10)
        streams.raise_many(1_500)
        async with event_source(streams.events_url, last_id=source.last_id, after=2, log="log-9") as source:
            assert (await source.expect("subscribed")).data["position"] == 10
            streams.raise_many(5)
            seen += await source.events(until=1_515)
        async with event_source(streams.events_url, after=1_510, log="log-1") as source:
            seen_again = await source.events(until=1_515)
    assert [event["position"] for event in seen] == list(range(1, 1_516))
    assert [event["position"] for event in seen_again] == list(range(1_511, 1_516))


async def test_a_snapshot_gives_no_id_before_it_is_complete(streams: Streams) -> None:
    streams.raise_many(700)
    async with event_source(streams.events_url, snapshot="true") as source:
        assert (await source.expect("subscribed")).id == ""
        rows = []
        while not (page := await source.expect("snapshot")).data["done"]:
            assert page.id == ""
            rows += page.data["alarms"]
        assert (page.id, page.data["position"], page.data["alarms"]) == ("log-1:700", 700, [])
        streams.raise_many(1)
        assert (await source.hear()).data["position"] == 701
    assert {row["source"] for row in rows} == {f"plant/{number}" for number in range(100)}


async def test_another_log_is_a_reset_from_which_to_go_on(streams: Streams) -> None:
    streams.raise_many(3)
    async with event_source(streams.events_url, last_id="log-0:2") as source:
        (reset,) = await source.ended()
    assert (reset.event, reset.data["reason"], reset.id) == ("reset", "log_changed", "log-1:3")
    streams.raise_many(2)
    async with event_source(streams.events_url, last_id=source.last_id) as source:
        assert [event["position"] for event in await source.events(until=5)] == [4, 5]


async def test_a_position_ahead_of_the_log_is_a_reset(streams: Streams) -> None:
    streams.raise_many(3)
    async with event_source(streams.events_url, after=9) as source:
        (reset,) = await source.ended()
    assert (reset.event, reset.data["reason"], reset.id) == ("reset", "position_ahead", "log-1:3")


@pytest.mark.parametrize(("options", "last_id"), [({}, "log-2:1"), ({"snapshot": "true"}, "")])
async def test_when_the_log_is_replaced_every_follower_starts_over(
    streams: Streams, options: dict[str, str], last_id: str
) -> None:
    async with event_source(streams.events_url, **options) as source:
        await source.expect("subscribed")
        if options:
            await source.expect("snapshot")
        streams.driver.reset("log-2", 1)
        (reset,) = await source.ended()
    assert (reset.event, reset.data) == ("reset", {"reason": "log_changed", "log": "log-2", "position": 1})
    assert source.last_id == last_id


async def test_who_is_told_of_nothing_for_long_is_told_how_far_the_log_is(streams: Streams) -> None:
    async with event_source(streams.events_url, source="nowhere") as source:
        await source.expect("subscribed")
        streams.raise_many(1_000)
        streams.driver._delivery.tick()
        streams.driver._sending.wake()
        position = await source.expect("position")
    assert (position.data, position.id) == ({"position": 1_000}, "log-1:1000")


async def test_a_silent_stream_has_a_heartbeat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.streaming.timers.HEARTBEAT_SECONDS", 0.05)
    async with streaming() as streams, event_source(streams.events_url) as source:
        await source.expect("subscribed")

        async def publish() -> None:
            while source.comments < 2:
                await asyncio.sleep(0.01)
            streams.raise_many(1)

        publishing = asyncio.ensure_future(publish())
        await source.events(until=1)
        await publishing


async def test_draining_says_goodbye_and_ends_the_stream(streams: Streams) -> None:
    async with event_source(streams.events_url) as source:
        await source.expect("subscribed")
        draining = asyncio.ensure_future(streams.driver.drain(0.5))
        (goodbye,) = await source.ended()
        await draining
    assert (goodbye.event, goodbye.data["reason"]) == ("goodbye", "restart")
    assert 0 <= goodbye.data["retry_after_ms"] == source.retry <= 5_000
    async with event_source(streams.events_url) as late:
        assert late.response.status_code == 503
        assert int(late.response.headers["retry-after"]) > 0


async def test_more_sessions_than_fit_are_turned_away() -> None:
    async with (
        streaming(limits=Limits(sessions=1)) as streams,
        event_source(streams.events_url) as first,
        event_source(streams.events_url) as second,
    ):
        await first.expect("subscribed")
        assert (second.response.status_code, second.response.json()["code"]) == (503, "too_many_sessions")
        assert int(second.response.headers["retry-after"]) > 0
        async with streams.client() as third:
            assert (await third.hear())["code"] == "too_many_sessions"
            assert await third.closed() == (4429, "too_many_sessions")
        assert streams.driver.sessions == 1


@pytest.mark.parametrize(
    ("query", "last_id"),
    [
        ("after=-1", None),
        ("after=x", None),
        ("limit=5", None),
        ("min_severity=bad", None),
        ("snapshot=yes", None),
        ("snapshot=true&after=1", None),
        ("label.a=1&label.a=2", None),
        ("source=*", None),
        ("source=" + ",".join(map(str, range(101))), None),
        ("", "nonsense"),
        ("", "log-1:x"),
    ],
)
async def test_a_request_that_cannot_be_followed_is_answered_with_a_problem(
    streams: Streams, query: str, last_id: str | None
) -> None:
    async with event_source(f"{streams.events_url}?{query}", last_id=last_id) as source:
        assert source.response.status_code == 422
        assert source.response.headers["content-type"] == "application/problem+json"


async def test_a_head_request_is_answered_and_over(streams: Streams) -> None:
    async with event_source(streams.events_url) as source:
        client = source.response
        await source.expect("subscribed")
        assert client.headers["cache-control"] == "no-store"
        reader, writer = await asyncio.open_connection(*streams.address)
        writer.write(b"HEAD /v1/events HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n")
        answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        writer.close()
    assert answer.startswith(b"HTTP/1.1 200")


async def test_a_session_is_forgotten_with_its_connection(streams: Streams) -> None:
    async with event_source(streams.events_url) as source:
        await source.expect("subscribed")
        assert streams.driver.sessions == 1
    async with asyncio.timeout(5):
        while streams.driver.sessions:
            await asyncio.sleep(0)


async def test_who_takes_nothing_is_cut_and_harms_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.uvicorn.http.CUT_SECONDS", 0.2)
    lost = asyncio.Event()
    original = HttpProtocol.connection_lost

    def connection_lost(self: HttpProtocol, exc: Exception | None) -> None:
        original(self, exc)
        lost.set()

    monkeypatch.setattr(HttpProtocol, "connection_lost", connection_lost)
    small = socket.socket()
    small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    async with (
        streaming(limits=Limits(stall_seconds=0.3)) as streams,
        event_source(streams.events_url) as quick,
    ):
        await quick.expect("subscribed")
        with contextlib.closing(small):
            small.connect(streams.address)
            small.sendall(b"GET /v1/events HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n")
            async with asyncio.timeout(5):
                while streams.driver.sessions < 2:
                    await asyncio.sleep(0)
            streams.raise_many(2_000, text=BIG)
            assert len(await quick.events(until=2_000)) == 2_000
            async with asyncio.timeout(10):
                await lost.wait()
        assert streams.driver.sessions == 1
        streams.raise_many(1)
        await quick.events(until=2_001)


async def test_who_was_slow_gets_all_that_was_missed(streams: Streams) -> None:
    async with event_source(streams.events_url) as source:
        await source.expect("subscribed")
        for round_ in range(10):
            streams.raise_many(300, text=f"{round_}{BIG}")
            await asyncio.sleep(0)
        events = await source.events(until=3_000)
    assert [event["position"] for event in events] == list(range(1, 3_001))

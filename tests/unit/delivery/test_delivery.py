from typing import Any

import pytest

from core.delivery.encodings.json import JSON
from core.delivery.encodings.msgpack import MESSAGE_PACK
from core.delivery.fanout import POSITION_LAG
from core.delivery.frame import FRAME_BYTES, KeptFrames
from core.delivery.frame import Frame as KeptFrame
from core.delivery.pages import PAGE_EVENTS, Pages
from core.delivery.protocol import (
    SUBSCRIPTIONS,
    Close,
    ErrorMessage,
    EventsMessage,
    Goodbye,
    Hello,
    PositionMessage,
    ResetMessage,
    Unsubscribe,
)
from core.delivery.requests import NeedPage, NeedTail
from core.delivery.ring import weight_of
from core.errors import LogMismatch
from core.lists.filter import Filter
from tests.kit.delivery import Client, DeliveryStage


def sent(stage: DeliveryStage) -> list[tuple[Client, Any]]:
    return [(outgoing[0].peer, outgoing[1]) for outgoing in stage.delivery.outgoing() if outgoing is not None]


def reports(stage: DeliveryStage, count: int, source: str = "s", text: str = "") -> None:
    stage.publish(*[stage.plant.reported(source, text=f"{number}{text}") for number in range(count)])


def test_sessions_of_a_cohort_share_one_frame() -> None:
    stage = DeliveryStage()
    clients = [stage.client() for _ in range(3)]
    other = stage.client(encoding=MESSAGE_PACK)
    for client in (*clients, other):
        stage.subscribe(client)
    stage.pump()
    reports(stage, 2)
    frames = dict(sent(stage))
    assert frames[clients[0]] is frames[clients[1]] is frames[clients[2]]
    assert frames[other] != frames[clients[0]]


def test_a_session_that_subscribed_in_between_shares_the_frame_too() -> None:
    stage = DeliveryStage()
    early, late = stage.client(), stage.client()
    wanted = Filter(sources=frozenset({"rare"}))
    stage.subscribe(early, filter=wanted)
    reports(stage, 5)
    stage.subscribe(late, filter=wanted)
    stage.pump()
    reports(stage, 1, "rare")
    (_, one), (_, two) = sent(stage)
    assert one is two


def test_a_busy_session_is_not_served_and_then_gets_one_bigger_frame() -> None:
    stage = DeliveryStage()
    client = stage.client()
    received = stage.subscribe(client)
    stage.pump()
    client.stalled = True
    for _ in range(4):
        reports(stage, 1)
        stage.pump()
    assert len(received.events) == 1
    stage.resume(client)
    stage.pump()
    assert [len(message.events) for message in client.messages if isinstance(message, EventsMessage)] == [
        1,
        3,
    ]
    assert received.position == 4


def test_a_frame_takes_no_more_than_its_size() -> None:
    stage = DeliveryStage()
    client = stage.client()
    stage.subscribe(client)
    stage.pump()
    reports(stage, 200, text="x" * 2_000)
    sizes = [len(frame) for _, frame in sent(stage)]
    assert len(sizes) > 2
    assert all(size < FRAME_BYTES + 1_000 for size in sizes)
    assert all(size > FRAME_BYTES - 10_000 for size in sizes[:-1])


def test_a_session_behind_does_not_hold_up_the_live_ones() -> None:
    stage = DeliveryStage()
    behind, live = stage.client(), stage.client()
    reports(stage, 3_000, text="x" * 2_000)
    stage.subscribe(live)
    stage.pump()
    stage.subscribe(behind, after=0)
    stage.pump(2)
    reports(stage, 1)
    receivers = [client for client, _ in sent(stage)]
    assert receivers.index(live) < 2
    assert receivers.count(behind) > 20


def test_who_falls_off_the_ring_is_brought_back_from_pages_of_the_log() -> None:
    stage = DeliveryStage(ring_events=10)
    client, other = stage.client(), stage.client()
    reports(stage, 2 * PAGE_EVENTS + 20)
    received = [stage.subscribe(client, after=3), stage.subscribe(other, after=7)]
    pages = []
    stage.pump()
    while requests := stage.delivery.requests():
        for request in requests:
            assert isinstance(request, NeedPage)
            pages.append(request.number)
            end = (request.number + 1) * PAGE_EVENTS
            stage.delivery.page(request, stage.plant.events[request.after : end])
        stage.pump()
    assert pages == [0, 1, 2]
    assert [len(each.events) for each in received] == [2 * PAGE_EVENTS + 17, 2 * PAGE_EVENTS + 13]
    assert client.messages[-1] == other.messages[-1]


def test_a_page_that_one_read_does_not_bring_whole_is_read_on_behind_what_it_brought() -> None:
    stage = DeliveryStage(ring_events=10)
    client = stage.client()
    reports(stage, PAGE_EVENTS + 20)
    received = stage.subscribe(client, after=3)
    asked = []
    stage.pump()
    while requests := stage.delivery.requests():
        for request in requests:
            assert isinstance(request, NeedPage)
            asked.append(request)
            stage.delivery.page(request, stage.plant.events[request.after : request.after + 200])
        stage.pump()
    assert [each.after for each in asked] == [0, 200, 400, 500]
    assert {each.tries for each in asked} == {0}
    assert [each.position for each in received.events] == list(range(4, PAGE_EVENTS + 21))


def test_a_client_beyond_what_one_read_brings_gets_its_page_though_nothing_of_it_is_kept() -> None:
    stage = DeliveryStage(ring_events=10)
    reports(stage, PAGE_EVENTS + 20)
    received = stage.subscribe(stage.client(), after=450)
    stage.pump()
    while requests := stage.delivery.requests():
        for request in requests:
            assert isinstance(request, NeedPage)
            stage.delivery._catch_up._pages.clear()
            stage.delivery.page(request, stage.plant.events[request.after : request.after + 200])
        stage.pump()
    assert [each.position for each in received.events] == list(range(451, PAGE_EVENTS + 21))


def test_kept_pages_are_bounded_in_bytes_and_what_was_read_last_stays() -> None:
    stage = DeliveryStage()
    reports(stage, 2 * PAGE_EVENTS, text="x" * 1_000)
    first, second = stage.plant.events[:PAGE_EVENTS], stage.plant.events[PAGE_EVENTS:]
    pages = Pages(size=int(1.5 * sum(map(weight_of, first))))
    pages.keep(0, 0, first)
    assert len(pages.after(0)) == PAGE_EVENTS
    pages.keep(1, PAGE_EVENTS, second)
    assert not pages.after(0)
    assert len(pages.after(PAGE_EVENTS)) == PAGE_EVENTS
    tiny = Pages(size=1)
    tiny.keep(0, 0, first[:100])
    tiny.keep(0, 100, first[100:])
    assert len(tiny.after(0)) == PAGE_EVENTS
    assert tiny.read_up_to(PAGE_EVENTS - 1) == PAGE_EVENTS


def test_a_page_that_is_not_there_yet_is_asked_for_again_and_says_how_often() -> None:
    stage = DeliveryStage(ring_events=2)
    client = stage.client()
    reports(stage, 6)
    received = stage.subscribe(client, after=1)
    stage.pump()
    (first,) = stage.delivery.requests()
    assert first == NeedPage(0, 0, 0)
    stage.delivery.page(first, [])
    stage.delivery.page(NeedPage(0, 0, 0, 1), stage.plant.events[:1])
    stage.delivery.page(NeedPage(0, 0, 1), [])
    asked = stage.delivery.requests()
    assert asked == [NeedPage(0, 0, 0, 1), NeedPage(0, 0, 1), NeedPage(0, 0, 1, 1)]
    again = asked[-1]
    assert isinstance(again, NeedPage)
    assert stage.delivery.needs(again)
    stage.delivery.page(again, stage.plant.events[1:])
    stage.pump()
    assert received.position == 6


def test_nobody_needs_a_page_whose_session_is_gone() -> None:
    stage = DeliveryStage(ring_events=2)
    client = stage.client()
    reports(stage, 6)
    stage.subscribe(client, after=1)
    stage.pump()
    (request,) = stage.delivery.requests()
    assert isinstance(request, NeedPage)
    stage.delivery.disconnect(client.session)
    assert not stage.delivery.needs(request)


def test_a_page_with_a_gap_is_refused() -> None:
    stage = DeliveryStage()
    reports(stage, 3)
    with pytest.raises(LogMismatch, match="event 3 is where 2 should be"):
        Pages().keep(0, 0, [stage.plant.events[0], stage.plant.events[2]])


def test_a_page_read_before_the_log_was_replaced_is_ignored() -> None:
    stage = DeliveryStage(ring_events=2)
    client = stage.client()
    reports(stage, 6)
    stage.subscribe(client, after=1)
    stage.pump()
    (request,) = stage.delivery.requests()
    assert isinstance(request, NeedPage)
    stage.delivery.reset("log-2", 0)
    assert not stage.delivery.needs(request)
    stage.delivery.page(request, stage.plant.events)
    stage.pump()
    assert client.messages[-2:] == [
        Hello(log="log-2", position=0),
        ResetMessage(id="a", reason="log_changed"),
    ]


def test_a_client_that_nothing_is_for_is_told_how_far_it_is_now_and_then() -> None:
    stage = DeliveryStage()
    client = stage.client()
    stage.subscribe(client, filter=Filter(sources=frozenset({"nowhere"})))
    stage.pump()
    for _ in range(3):
        reports(stage, POSITION_LAG - 1)
        stage.delivery.tick()
        reports(stage, 1)
        stage.delivery.tick()
        stage.delivery.tick()
        stage.pump()
    told = [message for message in client.messages if isinstance(message, PositionMessage)]
    assert [message.position for message in told] == [POSITION_LAG, 2 * POSITION_LAG, 3 * POSITION_LAG]


def test_a_position_ahead_is_asked_of_the_log() -> None:
    stage = DeliveryStage()
    client = stage.client()
    received = stage.subscribe(client, after=5)
    (request,) = stage.delivery.requests()
    assert request == NeedTail(client.session.subscriptions["a"], 5)
    assert isinstance(request, NeedTail)
    stage.pump()
    assert [type(message) for message in client.messages] == [Hello]
    stage.delivery.tail(request, 4)
    stage.pump()
    assert received.over == "position_ahead"
    assert len(stage.delivery._fanout._cohorts) == 0


def test_too_many_subscriptions_and_a_second_of_one_id_end_the_session() -> None:
    stage = DeliveryStage()
    many, twice = stage.client(), stage.client()
    for number in range(SUBSCRIPTIONS + 1):
        stage.subscribe(many, f"s{number}")
    stage.subscribe(twice)
    stage.subscribe(twice)
    stage.subscribe(twice, "after the end")
    stage.pump()
    assert many.closed == Close(4429, "too_many_subscriptions")
    assert twice.closed == Close(4409, "duplicate_id")
    assert isinstance(twice.messages[-1], ErrorMessage)
    assert len(stage.delivery._fanout._cohorts) == 0


def test_a_snapshot_and_a_position_exclude_each_other() -> None:
    stage = DeliveryStage()
    client = stage.client()
    received = stage.subscribe(client, snapshot=True, after=0)
    stage.pump()
    assert received.over == "invalid"
    assert client.closed is None


def test_a_goodbye_comes_before_the_close() -> None:
    stage = DeliveryStage()
    client = stage.client()
    stage.subscribe(client)
    reports(stage, 1)
    stage.delivery.goodbye(client.session, 1012, "restart", 830)
    stage.pump()
    assert client.messages[-1] == Goodbye(reason="restart", retry_after_ms=830)
    assert client.closed == Close(1012, "restart")


def test_a_closed_subscription_gets_nothing_that_was_waiting() -> None:
    stage = DeliveryStage()
    client = stage.client()
    received = stage.subscribe(client)
    stage.pump()
    reports(stage, 3)
    stage.delivery.handle(client.session, Unsubscribe(id="a"))
    stage.pump()
    assert received.events == []


def test_frames_are_kept_within_their_bound() -> None:
    kept = KeptFrames(size=100)
    for number in range(20):
        kept.keep(number, KeptFrame(JSON, 0, 1, 1, b"x" * 30))
    assert [number for number in range(20) if kept.get(number)] == [17, 18, 19]
    kept.keep(19, KeptFrame(JSON, 0, 1, 1, b"x" * 90))
    assert [number for number in range(20) if kept.get(number)] == [19]


def test_whom_few_events_are_for_waits_for_nobody_whom_many_are_for() -> None:
    stage = DeliveryStage()
    few, many = stage.client(), stage.client()
    stage.subscribe(few, filter=Filter(sources=frozenset({"few"})))
    stage.subscribe(many, filter=Filter(sources=frozenset({"many"})))
    stage.pump()
    stage.publish(stage.plant.reported("few"))
    for _ in range(4):
        stage.publish(stage.plant.reported("many"))
        stage.pump(most=1)
    assert len(few.received["a"].events) == 1


def test_nothing_follows_a_goodbye_when_the_log_is_replaced() -> None:
    stage = DeliveryStage()
    client = stage.client()
    stage.delivery.goodbye(client.session, 1012, "restart", 10)
    stage.delivery.reset("log-2", 0)
    stage.pump()
    assert client.closed == Close(1012, "restart")


def test_a_message_that_comes_after_the_close_is_not_answered() -> None:
    stage = DeliveryStage()
    client = stage.client()
    stage.delivery.goodbye(client.session, 1012, "restart", 10)
    stage.delivery.refuse(client.session, ErrorMessage(code="bad_message", detail="?"), 4400)
    stage.pump()
    assert client.closed == Close(1012, "restart")
    assert client.messages[1:] == [Goodbye(reason="restart", retry_after_ms=10)]

from typing import Any

import msgspec
import pytest

from core.delivery.encodings.encoding import WebSocketEncoding, framed
from core.delivery.encodings.json import JSON
from core.delivery.encodings.msgpack import MESSAGE_PACK
from core.delivery.protocol import (
    Auth,
    EventsMessage,
    Hello,
    SnapshotMessage,
    Subscribe,
    Unsubscribe,
)
from core.delivery.ring import EncodedEvent
from core.errors import BadMessage
from core.lists.filter import Filter
from tests.kit.delivery import Plant, decode

both = pytest.mark.parametrize("encoding", [JSON, MESSAGE_PACK])


def said(encoding: WebSocketEncoding, message: object) -> str | bytes:
    return msgspec.json.encode(message).decode() if encoding is JSON else msgspec.msgpack.encode(message)


@both
@pytest.mark.parametrize(
    ("message", "decoded"),
    [
        ({"op": "auth", "token": "t"}, Auth(token="t")),
        ({"op": "unsubscribe", "id": "a"}, Unsubscribe(id="a")),
        ({"op": "subscribe", "id": "a"}, Subscribe(id="a")),
        (
            {"op": "subscribe", "id": "a", "after": 7, "log": "l", "filter": {"types": ["x"]}},
            Subscribe(id="a", after=7, log="l", filter=Filter(types=frozenset({"x"}))),
        ),
        (
            {"op": "subscribe", "id": "a", "after": None, "snapshot": True, "conflate": True},
            Subscribe(id="a", snapshot=True, conflate=True),
        ),
    ],
)
def test_every_request_of_a_client_is_decoded(
    encoding: WebSocketEncoding, message: Any, decoded: object
) -> None:
    assert encoding.decode(said(encoding, message)) == decoded


@both
@pytest.mark.parametrize(
    "message",
    [
        {},
        [],
        {"op": "hello"},
        {"op": "auth"},
        {"op": "unsubscribe", "id": ""},
        {"op": "unsubscribe", "id": "x" * 65},
        {"op": "unsubscribe", "id": "a", "why": 1},
        {"op": "subscribe", "id": "a", "after": "7"},
        {"op": "subscribe", "id": "a", "after": 2**63},
        {"op": "subscribe", "id": "a", "filter": {"labels": {"k": 1}}},
        {"op": "subscribe", "id": "a", "filter": {"max_severity": "major"}},
    ],
)
def test_a_text_that_is_no_message_is_refused(encoding: WebSocketEncoding, message: object) -> None:
    with pytest.raises(BadMessage):
        encoding.decode(said(encoding, message))


@both
def test_a_message_over_the_bound_is_not_even_looked_at(encoding: WebSocketEncoding) -> None:
    with pytest.raises(BadMessage, match="at most 65536 bytes"):
        encoding.decode(said(encoding, "x" * 65_536))


@both
def test_a_message_of_the_server_is_encoded_as_a_whole(encoding: WebSocketEncoding) -> None:
    hello = Hello(log="log", position=7)
    assert decode(encoding.message(hello)) == hello


@both
@pytest.mark.parametrize("count", [0, 1, 2, 20, 400])
def test_events_are_put_together_from_parts(encoding: WebSocketEncoding, count: int) -> None:
    plant = Plant()
    entries = [EncodedEvent(plant.reported(f"s{number}", text="ünïcode")) for number in range(count)]
    parts = [encoding.event(entry) for entry in entries]
    message = decode(encoding.events('a"ü', encoding.events_body(parts, 99)))
    assert isinstance(message, EventsMessage)
    assert (message.id, message.position) == ('a"ü', 99)
    assert [event.alarm for event in message.events] == [entry.event.alarm for entry in entries]
    assert not any(event.left for event in message.events)


@both
def test_an_event_is_encoded_once_for_all(encoding: WebSocketEncoding) -> None:
    entry = EncodedEvent(Plant().reported("s"))
    assert encoding.event(entry) is encoding.event(entry)


@both
def test_an_event_that_left_the_filter_says_so(encoding: WebSocketEncoding) -> None:
    entry = EncodedEvent(Plant().reported("s"))
    part = encoding.event(entry, left=True)
    message = decode(encoding.events("a", encoding.events_body([part], 1)))
    assert isinstance(message, EventsMessage)
    assert message.events[0].left
    assert message.events[0].alarm == entry.event.alarm


@both
@pytest.mark.parametrize("done", [True, False])
def test_a_snapshot_is_put_together_from_rows(encoding: WebSocketEncoding, done: bool) -> None:
    alarms = [Plant().reported(f"s{number}").alarm for number in range(20)]
    frame = encoding.snapshot("a", [encoding.part(alarm) for alarm in alarms], 5, done=done)
    assert decode(frame) == SnapshotMessage(id="a", alarms=alarms, position=5, done=done)


@pytest.mark.parametrize("length", [0, 125, 126, 127, 65_535, 65_536, 300_000])
def test_a_frame_says_its_length_whatever_it_is(length: int) -> None:
    frame = framed(2, b"x" * (length // 2), b"y" * (length - length // 2))
    size = frame[1] & 0x7F
    start = {126: 4, 127: 10}.get(size, 2)
    assert frame[0] == 0x82
    assert int.from_bytes(frame[2:start], "big") == length if start > 2 else size == length
    assert len(frame) == start + length

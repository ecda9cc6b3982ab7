"""The two encodings of a WebSocket: frames put together from parts that are encoded once for all sessions."""

import struct
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import msgspec

from core.delivery.protocol import CLIENT_BYTES, ClientMessage, EventMessage, ServerMessage
from core.delivery.ring import EncodedEvent
from core.errors import BadMessage

Said = str | bytes
"""A client's message: text or binary."""

_TEXT, _BINARY = 0x1, 0x2


class Encoding(ABC):
    """Encodes messages, whole or from parts, to what goes onto a session's wire; parts are not framed."""

    subprotocol: ClassVar[str]
    heartbeat: bytes = b""
    """What goes out when nothing else does, where the wire has no pings of its own."""

    @abstractmethod
    def decode(self, said: Said, limit: int = CLIENT_BYTES) -> ClientMessage:
        """Decode a client's message of at most `limit` bytes. Raises BadMessage."""

    @abstractmethod
    def message(self, message: ServerMessage) -> bytes:
        """Return a whole message."""

    @abstractmethod
    def events(self, subscription: str, body: bytes) -> bytes:
        """Return an `events` message with this body."""

    @abstractmethod
    def snapshot(self, subscription: str, alarms: Sequence[bytes], position: int, *, done: bool) -> bytes:
        """Return a `snapshot` message from its rows."""

    @abstractmethod
    def part(self, value: object) -> bytes:
        """Encode a value."""

    @abstractmethod
    def event(self, entry: EncodedEvent) -> bytes:
        """Return the part for an event; it is kept with the entry."""

    @abstractmethod
    def left(self, event: bytes) -> bytes:
        """Make the part for an event say that its alarm left the filter."""

    @abstractmethod
    def events_body(self, events: Sequence[bytes], position: int) -> bytes:
        """Put together what is the same in an `events` message whatever the subscription's id is."""


class _WebSocket(Encoding):
    """Encodes to WebSocket frames."""

    _opcode: ClassVar[int]

    def decode(self, said: Said, limit: int = CLIENT_BYTES) -> ClientMessage:
        if len(said) > limit:
            raise BadMessage(f"a message has at most {limit} bytes")
        try:
            return self._decode(said)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise BadMessage(str(error)) from None

    def message(self, message: ServerMessage) -> bytes:
        return framed(self._opcode, self.part(message))

    def events(self, subscription: str, body: bytes) -> bytes:
        return framed(self._opcode, self._events_head(subscription), body)

    def snapshot(self, subscription: str, alarms: Sequence[bytes], position: int, *, done: bool) -> bytes:
        return framed(self._opcode, self._snapshot(subscription, alarms, position, done=done))

    @abstractmethod
    def _events_head(self, subscription: str) -> bytes:
        pass

    @abstractmethod
    def _snapshot(self, subscription: str, alarms: Sequence[bytes], position: int, *, done: bool) -> bytes:
        pass

    @abstractmethod
    def _decode(self, said: Said) -> ClientMessage:
        pass


class _Json(_WebSocket):
    subprotocol = "tocsin.v1.json"
    _opcode = _TEXT

    def __init__(self) -> None:
        self._encode = msgspec.json.Encoder().encode
        self._client: msgspec.json.Decoder[ClientMessage] = msgspec.json.Decoder(ClientMessage)

    def part(self, value: object) -> bytes:
        return self._encode(value)

    def event(self, entry: EncodedEvent) -> bytes:
        if entry.json is None:
            entry.json = self._encode(_event_message(entry))
        return entry.json

    def left(self, event: bytes) -> bytes:
        return event[:-1] + b',"left":true}'

    def events_body(self, events: Sequence[bytes], position: int) -> bytes:
        return b'"events":[%b],"position":%d}' % (b",".join(events), position)

    def _events_head(self, subscription: str) -> bytes:
        return b'{"op":"events","id":%b,' % self._encode(subscription)

    def _snapshot(self, subscription: str, alarms: Sequence[bytes], position: int, *, done: bool) -> bytes:
        rest = (self._encode(subscription), b",".join(alarms), position, self._encode(done))
        return b'{"op":"snapshot","id":%b,"alarms":[%b],"position":%d,"done":%b}' % rest

    def _decode(self, said: Said) -> ClientMessage:
        if isinstance(said, bytes):
            raise BadMessage(f"{self.subprotocol} is spoken in text messages")
        return self._client.decode(said)


class _MessagePack(_WebSocket):
    subprotocol = "tocsin.v1.msgpack"
    _opcode = _BINARY

    def __init__(self) -> None:
        self._encode = msgspec.msgpack.Encoder().encode
        self._client: msgspec.msgpack.Decoder[ClientMessage] = msgspec.msgpack.Decoder(ClientMessage)

    def part(self, value: object) -> bytes:
        return self._encode(value)

    def event(self, entry: EncodedEvent) -> bytes:
        if entry.msgpack is None:
            entry.msgpack = self._encode(_event_message(entry))
        return entry.msgpack

    def left(self, event: bytes) -> bytes:
        # A map of up to 15 pairs has their number in the low half of its first byte.
        return bytes([event[0] + 1]) + event[1:] + self._pairs(left=True)

    def events_body(self, events: Sequence[bytes], position: int) -> bytes:
        return self._pairs(events=_raw(events), position=position)

    def _events_head(self, subscription: str) -> bytes:
        return b"\x84" + self._pairs(op="events", id=subscription)

    def _snapshot(self, subscription: str, alarms: Sequence[bytes], position: int, *, done: bool) -> bytes:
        pairs = {"op": "snapshot", "id": subscription, "alarms": _raw(alarms)}
        return b"\x85" + self._pairs(**pairs, position=position, done=done)

    def _pairs(self, **pairs: object) -> bytes:
        """Encode what stands in a map after its header."""
        return self._encode(pairs)[1:]

    def _decode(self, said: Said) -> ClientMessage:
        if isinstance(said, str):
            raise BadMessage(f"{self.subprotocol} is spoken in binary messages")
        return self._client.decode(said)


JSON: Encoding = _Json()
MESSAGE_PACK: Encoding = _MessagePack()
ENCODINGS = {encoding.subprotocol: encoding for encoding in (JSON, MESSAGE_PACK)}
"""The encodings by their WebSocket subprotocol, the preferred one first."""


def framed(opcode: int, *parts: bytes) -> bytes:
    """Return a whole message as a server frames it, without a mask (RFC 6455 §5.2)."""
    length = sum(map(len, parts))
    first = 0x80 | opcode
    if length < 126:  # noqa: PLR2004 (the two lengths of RFC 6455 that say: it follows)
        header = struct.pack("!BB", first, length)
    elif length < 1 << 16:
        header = struct.pack("!BBH", first, 126, length)
    else:
        header = struct.pack("!BBQ", first, 127, length)
    return b"".join((header, *parts))


def _raw(parts: Sequence[bytes]) -> list[msgspec.Raw]:
    return [msgspec.Raw(part) for part in parts]


def _event_message(entry: EncodedEvent) -> EventMessage:
    event = entry.event
    return EventMessage(
        position=event.position,
        event_id=event.event_id,
        type=event.type,
        at=event.at,
        occurred_at=event.occurred_at,
        actor=event.actor,
        revision=event.revision,
        data=event.data,
        alarm=event.alarm,
    )

"""The base of every encoding: builds messages from parts that are encoded once for all sessions."""

import struct
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import msgspec

from core.delivery.protocol import CLIENT_BYTES, ClientMessage, EventMessage, ServerMessage
from core.delivery.ring import EncodedEvent
from core.errors import BadMessage

RawMessage = str | bytes
"""A client's message: text or binary."""

TEXT, BINARY = 0x1, 0x2
"""The opcodes of a WebSocket's messages (RFC 6455 §5.2)."""


class Encoding(ABC):
    """Encodes messages for a session's wire, whole or from parts; parts are not framed."""

    subprotocol: ClassVar[str]
    heartbeat: bytes = b""
    """Sent when nothing else is, where the wire has no pings of its own."""

    @abstractmethod
    def message(self, message: ServerMessage) -> bytes:
        """Encode a whole message."""

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
    def event(self, entry: EncodedEvent, *, left: bool = False) -> bytes:
        """Return the event's part, made from what the entry keeps; `left`: its alarm left the filter."""

    @abstractmethod
    def events_body(self, events: Sequence[bytes], position: int) -> bytes:
        """Join what is the same in an `events` message for every subscription id."""


class WebSocketEncoding(Encoding):
    """Encodes to WebSocket frames, and decodes what clients send."""

    _opcode: ClassVar[int]

    def decode(self, said: RawMessage, limit: int = CLIENT_BYTES) -> ClientMessage:
        """Decode a client's message of at most `limit` bytes. Raises BadMessage."""
        if len(said) > limit:
            raise BadMessage(f"a message has at most {limit} bytes")
        try:
            return self._decode(said)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise BadMessage(str(error)) from None

    def message(self, message: ServerMessage) -> bytes:
        """Return the frame of a whole message."""
        return framed(self._opcode, self.part(message))

    def events(self, subscription: str, body: bytes) -> bytes:
        """Return the frame of an `events` message with this body."""
        return framed(self._opcode, self._events_head(subscription), body)

    def snapshot(self, subscription: str, alarms: Sequence[bytes], position: int, *, done: bool) -> bytes:
        """Return the frame of a `snapshot` message from its rows."""
        return framed(self._opcode, self._snapshot(subscription, alarms, position, done=done))

    @abstractmethod
    def _events_head(self, subscription: str) -> bytes:
        pass

    @abstractmethod
    def _snapshot(self, subscription: str, alarms: Sequence[bytes], position: int, *, done: bool) -> bytes:
        pass

    @abstractmethod
    def _decode(self, said: RawMessage) -> ClientMessage:
        pass


def framed(opcode: int, *parts: bytes) -> bytes:
    """Return a whole message in a server's frame, without a mask (RFC 6455 §5.2)."""
    length = sum(map(len, parts))
    first = 0x80 | opcode
    if length < 126:  # noqa: PLR2004 (RFC 6455: 126 and 127 announce a longer length)
        header = struct.pack("!BB", first, length)
    elif length < 1 << 16:
        header = struct.pack("!BBH", first, 126, length)
    else:
        header = struct.pack("!BBQ", first, 127, length)
    return b"".join((header, *parts))


def event_message(entry: EncodedEvent) -> EventMessage:
    """Return the event as clients see it."""
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

"""MessagePack over WebSocket: subprotocol `tocsin.v1.msgpack`."""

from collections.abc import Sequence

import msgspec

from core.delivery.encodings.encoding import BINARY, RawMessage, WebSocketEncoding, event_message
from core.delivery.protocol import ClientMessage
from core.delivery.ring import EncodedEvent
from core.errors import BadMessage


class _MessagePack(WebSocketEncoding):
    subprotocol = "tocsin.v1.msgpack"
    _opcode = BINARY

    def __init__(self) -> None:
        self._encode = msgspec.msgpack.Encoder().encode
        self._client: msgspec.msgpack.Decoder[ClientMessage] = msgspec.msgpack.Decoder(ClientMessage)

    def part(self, value: object) -> bytes:
        return self._encode(value)

    def event(self, entry: EncodedEvent, *, left: bool = False) -> bytes:
        event = entry.msgpack
        if event is None:
            event = entry.msgpack = self._encode(event_message(entry))
        if not left:
            return event
        # A map of up to 15 pairs has its size in the low half of its first byte.
        return bytes([event[0] + 1]) + event[1:] + self._pairs(left=True)

    def events_body(self, events: Sequence[bytes], position: int) -> bytes:
        return self._pairs(events=_raw(events), position=position)

    def _events_head(self, subscription: str) -> bytes:
        return b"\x84" + self._pairs(op="events", id=subscription)

    def _snapshot(self, subscription: str, alarms: Sequence[bytes], position: int, *, done: bool) -> bytes:
        pairs = {"op": "snapshot", "id": subscription, "alarms": _raw(alarms)}
        return b"\x85" + self._pairs(**pairs, position=position, done=done)

    def _pairs(self, **pairs: object) -> bytes:
        """Encode a map without its header."""
        return self._encode(pairs)[1:]

    def _decode(self, said: RawMessage) -> ClientMessage:
        if isinstance(said, str):
            raise BadMessage(f"{self.subprotocol} takes binary messages only")
        return self._client.decode(said)


MESSAGE_PACK: WebSocketEncoding = _MessagePack()


def _raw(parts: Sequence[bytes]) -> list[msgspec.Raw]:
    return [msgspec.Raw(part) for part in parts]

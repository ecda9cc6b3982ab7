"""JSON over WebSocket: subprotocol `tocsin.v1.json`."""

from collections.abc import Sequence

import msgspec

from core.delivery.encodings.encoding import TEXT, RawMessage, WebSocketEncoding, event_message
from core.delivery.protocol import ClientMessage
from core.delivery.ring import EncodedEvent
from core.errors import BadMessage


class _Json(WebSocketEncoding):
    subprotocol = "tocsin.v1.json"
    _opcode = TEXT

    def __init__(self) -> None:
        self._encode = msgspec.json.Encoder().encode
        self._client: msgspec.json.Decoder[ClientMessage] = msgspec.json.Decoder(ClientMessage)

    def part(self, value: object) -> bytes:
        return self._encode(value)

    def event(self, entry: EncodedEvent, *, left: bool = False) -> bytes:
        if entry.json is None:
            entry.json = self._encode(event_message(entry))
        return entry.json[:-1] + b',"left":true}' if left else entry.json

    def events_body(self, events: Sequence[bytes], position: int) -> bytes:
        return b'"events":[%b],"position":%d}' % (b",".join(events), position)

    def _events_head(self, subscription: str) -> bytes:
        return b'{"op":"events","id":%b,' % self._encode(subscription)

    def _snapshot(self, subscription: str, alarms: Sequence[bytes], position: int, *, done: bool) -> bytes:
        rest = (self._encode(subscription), b",".join(alarms), position, self._encode(done))
        return b'{"op":"snapshot","id":%b,"alarms":[%b],"position":%d,"done":%b}' % rest

    def _decode(self, said: RawMessage) -> ClientMessage:
        if isinstance(said, bytes):
            raise BadMessage(f"{self.subprotocol} takes text messages only")
        return self._client.decode(said)


JSON: WebSocketEncoding = _Json()

"""The encoding of a session over Server-Sent Events (WHATWG HTML §9.2), in chunks of HTTP/1.1."""

from collections.abc import Sequence

import msgspec

from core.delivery.encodings.encoding import Encoding
from core.delivery.encodings.json import JSON
from core.delivery.protocol import (
    ErrorMessage,
    Goodbye,
    Hello,
    PositionMessage,
    ResetMessage,
    ServerMessage,
    Subscribed,
)
from core.delivery.ring import EncodedEvent

END = b"0\r\n\r\n"
"""The last chunk (RFC 9112 §7.1)."""

_encode = msgspec.json.encode


def chunk(data: bytes) -> bytes:
    """Return a chunk of a body of unknown length (RFC 9112 §7.1)."""
    return b"%x\r\n%b\r\n" % (len(data), data)


class EventStream(Encoding):
    """One session's encoding: it keeps the log identity of the last `hello`, with which the ids begin.

    An id is `log:position`; a client that returns it as Last-Event-ID has everything up to that position. So
    a client that waits for a snapshot gets no id before the snapshot is complete. The events' parts are
    JSON's, encoded once for all; all sessions on the same log share frames.

    `retry_ms`: when the client is to come back after a lost connection.
    """

    heartbeat = chunk(b":\n\n")
    """A comment."""

    def __init__(self, *, snapshot: bool, retry_ms: int) -> None:
        self._snapshot_first = snapshot
        self._retry_ms = retry_ms
        self._log = ""
        self._position = 0

    @property
    def subprotocol(self) -> str:  # type: ignore[override]
        """A name for its frames that no other encoding or log shares."""
        return f"text/event-stream {self._log}"

    def message(self, message: ServerMessage) -> bytes:
        """Return a message as an event, without the id of the one subscription."""
        match message:
            case Hello(log=log, position=position):
                self._log, self._position = log, position
                return chunk(b"retry: %d\n\n" % self._retry_ms)
            case Subscribed(position=position):
                known = None if self._snapshot_first else position
                data = {"log": self._log, "position": position}
                return chunk(self._event("subscribed", data, known))
            case PositionMessage(position=position):
                return chunk(self._event("position", {"position": position}, position))
            case ResetMessage(reason=reason):
                return chunk(self._reset(reason))
            case Goodbye(reason=reason, retry_after_ms=retry_after_ms):
                data = {"reason": reason, "retry_after_ms": retry_after_ms}
                return chunk(b"retry: %d\n" % retry_after_ms + self._event("goodbye", data))
            case ErrorMessage(code=code, detail=detail):
                # Not `error`: an EventSource uses that name for a lost connection.
                return chunk(self._event("problem", {"code": code, "detail": detail}))
            case _:
                raise ValueError(f"not for an event stream: {message}")

    def part(self, value: object) -> bytes:
        """Encode a value."""
        return JSON.part(value)

    def event(self, entry: EncodedEvent, *, left: bool = False) -> bytes:
        """Encode an event."""
        fields = (self._id(entry.event.position), entry.event.type.encode(), JSON.event(entry, left=left))
        return b"%bevent: %b\ndata: %b\n\n" % fields

    def events_body(self, events: Sequence[bytes], position: int) -> bytes:
        """Join the events; each event's id says how far the client is."""
        del position
        return b"".join(events)

    def events(self, subscription: str, body: bytes) -> bytes:
        """Return the chunk with these events."""
        del subscription
        return chunk(body)

    def snapshot(self, subscription: str, alarms: Sequence[bytes], position: int, *, done: bool) -> bytes:
        """Return a page of the alarm list; only the last page has an id."""
        del subscription
        data = {"alarms": [msgspec.Raw(alarm) for alarm in alarms], "position": position, "done": done}
        return chunk(self._event("snapshot", data, position if done else None))

    def _reset(self, reason: str) -> bytes:
        """Let the client come back from this position, or without an id where it begins with a snapshot."""
        data = {"reason": reason, "log": self._log, "position": self._position}
        if self._snapshot_first:
            return b"id:\n" + self._event("reset", data)
        return self._event("reset", data, self._position)

    def _event(self, name: str, data: object, position: int | None = None) -> bytes:
        head = b"" if position is None else self._id(position)
        return b"%bevent: %b\ndata: %b\n\n" % (head, name.encode(), _encode(data))

    def _id(self, position: int) -> bytes:
        return b"id: %b:%d\n" % (self._log.encode(), position)

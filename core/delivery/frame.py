"""Frames: bodies of event messages, made once for all sessions at the same position."""

from collections import OrderedDict
from collections.abc import Hashable, Iterable

from core.delivery.encodings.encoding import Encoding
from core.delivery.ring import EncodedEvent

FRAME_BYTES = 256 * 1024
"""How many bytes of the waiting events a frame takes; it always takes one event."""
KEPT_BYTES = 32 * 1024 * 1024
"""How many bytes the frames kept for sessions that are behind take together."""
KEPT_FRAMES = 4_096


class Frame:
    """The events waiting for every cursor from `low` to before `first`, as far as they fit: up to `end`.

    An empty `body`: nothing up to `end` matches.
    """

    __slots__ = ("_encoding", "_payload", "_subscription", "body", "end", "first", "low")

    def __init__(self, encoding: Encoding, low: int, first: int, end: int, body: bytes) -> None:
        self._encoding = encoding
        self._subscription = ""
        self._payload = b""
        self.low = low
        self.first = first
        self.end = end
        self.body = body

    def payload(self, subscription: str) -> bytes:
        """Return the message under the subscription's id; the last is kept, since most ids are the same."""
        if subscription != self._subscription:
            self._payload = self._encoding.events(subscription, self.body)
            self._subscription = subscription
        return self._payload


def filled(encoding: Encoding, waiting: Iterable[tuple[EncodedEvent, bool]], cursor: int, end: int) -> Frame:
    """Return the frame for cursors from `cursor` on: the events up to `end`, as far as they fit."""
    parts: list[bytes] = []
    size = first = last = 0
    for entry, left in waiting:
        part = encoding.event(entry, left=left)
        size += len(part)
        if parts and size > FRAME_BYTES:
            end = last
            break
        parts.append(part)
        last = entry.event.position
        first = first or last
    if not parts:
        return Frame(encoding, cursor, cursor + 1, end, b"")
    return Frame(encoding, cursor, first, end, encoding.events_body(parts, end))


def conflated(waiting: Iterable[tuple[EncodedEvent, bool]]) -> list[tuple[EncodedEvent, bool]]:
    """Keep the newest event of each alarm, in order of position."""
    newest: dict[str, tuple[EncodedEvent, bool]] = {}
    for entry, left in waiting:
        newest.pop(entry.event.stream, None)
        newest[entry.event.stream] = (entry, left)
    return list(newest.values())


class KeptFrames:
    """The frames made last for sessions that are behind: many are behind by the same amount."""

    def __init__(self, size: int = KEPT_BYTES) -> None:
        self._size = size
        self._frames: OrderedDict[Hashable, Frame] = OrderedDict()
        self._kept = 0

    def get(self, key: Hashable) -> Frame | None:
        """Return the frame kept under the key."""
        return self._frames.get(key)

    def keep(self, key: Hashable, frame: Frame) -> None:
        """Keep the frame; drop the oldest for lack of room."""
        self._drop(self._frames.pop(key, None))
        self._frames[key] = frame
        self._kept += len(frame.body)
        while self._kept > self._size or len(self._frames) > KEPT_FRAMES:
            self._drop(self._frames.popitem(last=False)[1])

    def clear(self) -> None:
        """Forget all frames."""
        self._frames.clear()
        self._kept = 0

    def _drop(self, frame: Frame | None) -> None:
        if frame is not None:
            self._kept -= len(frame.body)

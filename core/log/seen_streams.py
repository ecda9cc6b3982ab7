"""Remembers in fixed space which streams there are, so that a new alarm needs no read."""

BITS = 1 << 24
"""2 MB: of a million streams, one in five hundred absent ones passes for present."""
LAST = BITS - 1
PROBES = 4
"""How many bits stand for a stream."""
STREAMS = 4_000_000
"""With more streams than this, too many absent ones pass for present."""


class SeenStreams:
    """A Bloom filter over the streams of a log: `lacks` may say no wrongly, and yes only as told.

    It answers yes only from `complete` on, for streams of which it was not told.
    """

    def __init__(self) -> None:
        self._bits = bytearray(BITS // 8)
        self._complete = False

    def add(self, stream: str) -> None:
        """Remember the stream."""
        bits, (place, step) = self._bits, _places(stream)
        for _ in range(PROBES):
            bits[place >> 3] |= 1 << (place & 7)
            place = place + step & LAST

    def complete(self) -> None:
        """Note that every stream of the log was added."""
        self._complete = True

    def forget(self) -> None:
        """Forget everything, because the log was replaced."""
        self._bits = bytearray(BITS // 8)
        self._complete = False

    def lacks(self, stream: str) -> bool:
        """Return whether the log had no such stream, as far as this was told."""
        if not self._complete:
            return False
        bits, (place, step) = self._bits, _places(stream)
        for _ in range(PROBES):
            if not bits[place >> 3] >> (place & 7) & 1:
                return True
            place = place + step & LAST
        return False


def _places(stream: str) -> tuple[int, int]:
    """Return the first bit of the stream, and how far it is to the next.

    Two hashes make all (Kirsch and Mitzenmacher, "Less Hashing, Same Performance", 2006).
    """
    hashed = hash(stream)
    return hashed & LAST, hashed >> 24 | 1

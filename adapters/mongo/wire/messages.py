"""OP_MSG, the message that every command to MongoDB and every answer is."""

from collections.abc import Sequence
from struct import Struct

OP_MSG = 2013

_HEADER = Struct("<iiii")
"""Length, request id, the id that is answered, kind of message; all lengths include themselves."""
_START = Struct("<iiiiIB")
"""The header, flags, and the kind of the first section."""
_LENGTH = Struct("<i")
_BODY, _SEQUENCE = b"\x00", b"\x01"
_NO_FLAGS = 0

Encoded = bytes | memoryview
Documents = tuple[str, Sequence[Encoded]]
"""The documents of a command that are encoded already, and the name of the field that holds them."""


def message(request_id: int, body: bytes, documents: Documents | None = None) -> bytes:
    """Return the message with the command `body`, a BSON document, and its encoded documents."""
    parts: list[Encoded] = [_BODY, body, *(() if documents is None else _sequence(*documents))]
    length = _HEADER.size + _LENGTH.size + sum(map(len, parts))
    head = _HEADER.pack(length, request_id, 0, OP_MSG) + _LENGTH.pack(_NO_FLAGS)
    return b"".join([head, *parts])


def _sequence(field: str, documents: Sequence[Encoded]) -> list[Encoded]:
    name = field.encode() + b"\x00"
    length = _LENGTH.size + len(name) + sum(map(len, documents))
    return [_SEQUENCE, _LENGTH.pack(length), name, *documents]


class IncomingMessage:
    """Puts answers together from the pieces that a socket brings; none may be longer than `most` bytes."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._pieces = bytearray()

    def take(self, piece: bytes, request_id: int) -> bytes | None:
        """Return the answer to the request as a BSON document, None while it is incomplete.

        Raises:
            ConnectionAbortedError: it is something else, or more than one answer.
        """
        received: bytes | bytearray = piece
        if self._pieces:
            self._pieces += piece
            received = self._pieces
        if len(received) < _START.size:
            self._pieces = bytearray(received)
            return None
        length = self._checked(received, request_id)
        if len(received) < length:
            self._pieces = bytearray(received) if received is piece else self._pieces
            return None
        if len(received) > length:
            raise ConnectionAbortedError(f"{len(received)} bytes came for an answer of {length}")
        self._pieces = bytearray()
        return bytes(memoryview(received)[_START.size :])

    def _checked(self, received: bytes | bytearray, request_id: int) -> int:
        length, _, answers, kind, flags, section = _START.unpack_from(received)
        if (kind, flags, section) != (OP_MSG, _NO_FLAGS, _BODY[0]):
            raise ConnectionAbortedError(f"a message of kind {kind}, flags {flags}, section {section}")
        if answers != request_id:
            raise ConnectionAbortedError(f"the answer to request {answers} instead of {request_id}")
        if not _START.size < length <= self._most:
            raise ConnectionAbortedError(f"an answer of {length} bytes; {self._most} are allowed")
        return int(length)

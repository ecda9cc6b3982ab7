"""Messages to MongoDB, and answers put together from what the socket brings."""

from struct import Struct

import bson
import pytest

from adapters.mongo.wire.messages import OP_MSG, IncomingMessage, message

HEADER = Struct("<iiii")
MOST = 1_000


def answer(body: bytes, *, to: int = 7, kind: int = OP_MSG, flags: int = 0, section: int = 0) -> bytes:
    rest = flags.to_bytes(4, "little") + bytes([section]) + body
    return HEADER.pack(HEADER.size + len(rest), 1, to, kind) + rest


def test_a_message_holds_the_command_and_its_encoded_documents() -> None:
    body, documents = bson.encode({"insert": "events"}), [bson.encode({"_id": n}) for n in (1, 2)]
    sent = message(7, body, ("documents", documents))
    assert HEADER.unpack_from(sent) == (len(sent), 7, 0, OP_MSG)
    sequence = b"documents\x00" + b"".join(documents)
    assert (
        sent[HEADER.size :]
        == bytes(5) + body + b"\x01" + (4 + len(sequence)).to_bytes(4, "little") + sequence
    )


@pytest.mark.parametrize("size", [1, 15, 21, 22, MOST])
def test_an_answer_is_complete_however_it_is_cut(size: int) -> None:
    body = bson.encode({"ok": 1.0, "n": 3, "text": "x" * 300})
    whole, incoming = answer(body), IncomingMessage(MOST)
    for _ in range(2):
        pieces = [whole[start : start + size] for start in range(0, len(whole), size)]
        *parts, last = [incoming.take(piece, 7) for piece in pieces]
        assert parts == [None] * len(parts)
        assert last == body


@pytest.mark.parametrize(
    "received",
    [
        answer(b"\x05\x00\x00\x00\x00", to=6),
        answer(b"\x05\x00\x00\x00\x00", kind=2012),
        answer(b"\x05\x00\x00\x00\x00", flags=2),
        answer(b"\x05\x00\x00\x00\x00", section=1),
        answer(b"\x05\x00\x00\x00\x00") + b"\x00",
        answer(bytes(MOST)),
        HEADER.pack(-1, 1, 7, OP_MSG) + bytes(5),
    ],
)
def test_anything_else_than_the_answer_is_refused(received: bytes) -> None:
    with pytest.raises(ConnectionAbortedError):
        IncomingMessage(MOST).take(received, 7)

"""What waits for a session's client is bounded by number and by bytes."""

from core.delivery.encodings.json import JSON
from core.delivery.protocol import Close
from core.delivery.session import ANSWER_BYTES, ANSWERS, Session


def session() -> Session[None]:
    return Session(JSON, None)


def test_few_large_answers_are_as_full_as_many_small_ones() -> None:
    small, large = session(), session()
    for number in range(ANSWERS):
        assert not small.full, number
        small.queue(b"x")
    assert small.full
    for _ in range(4):
        assert not large.full
        large.queue(bytes(ANSWER_BYTES // 4))
    assert large.full


def test_what_was_taken_makes_room() -> None:
    one = session()
    one.queue(bytes(ANSWER_BYTES))
    one.queue(Close(1000, ""))
    before = one.full
    assert one.take_answer() == bytes(ANSWER_BYTES)
    assert (before, one.full) == (True, False)
    assert one.take_answer() == Close(1000, "")
    assert one.answered


def test_what_was_dropped_makes_room() -> None:
    one = session()
    one.queue(bytes(ANSWER_BYTES))
    one.end()
    assert (one.full, one.answered) == (False, True)

"""What a process takes from a peer: so much and no more, each event once, and nothing of one that is gone."""

import asyncio

import msgspec
import pytest
from hypothesis import given

from core.alarm.alarm import Alarm
from core.alarm.events import Event
from core.alarm.evolution import place
from core.errors import BadMessage, OutcomeUnknown, Unavailable
from core.log import forwarding
from core.log.appender import QUEUE_BYTES, QUEUE_SUBMISSIONS, Appender
from core.log.forwarding import FORWARD_BYTES, FORWARDS, Answer, Forward, Incoming, Landed, NotTaken, Unclear
from core.log.ports import Rejected, Written
from core.log.submission import Submission
from tests.kit.appending import AnsweringStore, first_raise
from tests.unit.alarm.worlds import histories

NOW = 100.0


class Here:
    """A process that takes what a peer forwards, and answers nothing by itself."""

    def __init__(self) -> None:
        self.taken: list[Submission] = []
        self.answers: list[Answer] = []
        self.incoming = Incoming(self.taken.append, self.answers.append, lambda: NOW)

    def forward(self, number: int, waited: float = 0.0) -> None:
        before, event = first_raise()
        self.incoming.take(Forward(number, waited, before, event))


def test_each_event_is_answered_once_by_its_number() -> None:
    here = Here()
    here.forward(5)
    (taken,) = here.taken
    taken.settle(place(taken.before, taken.event, 7, taken.event.at))
    taken.settle(Unavailable("late"))
    assert here.answers == [Landed(5, 7, taken.event.at)]


@pytest.mark.parametrize(
    ("waited", "since"),
    [(1.0, NOW - 1.0), (-9.0, NOW), (1e9, NOW - 5.0), (float("nan"), NOW), (float("inf"), NOW - 5.0)],
)
def test_how_long_an_event_has_waited_is_bounded_whatever_a_peer_says(waited: float, since: float) -> None:
    here = Here()
    here.forward(1, waited)
    assert here.taken[0].since == since


def test_a_number_that_is_under_way_is_refused() -> None:
    here = Here()
    here.forward(1)
    with pytest.raises(BadMessage):
        here.forward(1)


def test_a_peer_has_no_more_events_under_way_than_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forwarding, "FORWARDS", 2)
    here = Here()
    for number in range(3):
        here.forward(number)
    assert (len(here.taken), [type(each) for each in here.answers]) == (2, [NotTaken])
    here.taken[0].settle(Unavailable("away"))
    here.forward(3)
    assert len(here.taken) == 3


def test_a_peer_has_no_more_bytes_under_way_than_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forwarding, "FORWARD_BYTES", 1)
    here = Here()
    # One event is taken, however large.
    here.forward(1)
    here.forward(2)
    assert (len(here.taken), [type(each) for each in here.answers]) == (1, [NotTaken])


def test_no_process_fills_the_queue_of_the_one_that_appends() -> None:
    assert FORWARDS <= QUEUE_SUBMISSIONS // 2
    assert FORWARD_BYTES <= QUEUE_BYTES // 2


def test_of_a_peer_that_is_gone_nothing_is_kept() -> None:
    here = Here()
    here.forward(1)
    here.incoming.lost()
    assert here.taken[0].answered
    assert [type(each) for each in here.answers] == [Unclear]


async def _no_pause(_tries: int) -> None:
    return None


def test_what_its_own_process_has_taken_back_is_not_written_here() -> None:
    log = AnsweringStore(Written())
    appender: Appender[Event] = Appender(log, _no_pause)
    here = Here()
    here.incoming = Incoming(appender.submit, here.answers.append, lambda: NOW)
    here.forward(1)
    here.incoming.lost()
    kept = Submission(*first_raise(), lambda _: None)
    appender.submit(kept)
    asyncio.run(appender.flush())
    assert [event.event_id for event in log.inserted] == [kept.event.event_id]
    assert appender._bytes == 0


@pytest.mark.parametrize(("in_doubt", "error"), [(False, Unavailable), (True, OutcomeUnknown)])
def test_a_refusal_by_the_store_says_no_more_than_is_known(*, in_doubt: bool, error: type[Exception]) -> None:
    appender: Appender[Event] = Appender(AnsweringStore(Rejected(0, "full")), _no_pause)
    told: list[object] = []
    submission = Submission(*first_raise(), told.append)
    submission.in_doubt = in_doubt
    appender.submit(submission)
    asyncio.run(appender.flush())
    assert [type(each) for each in told] == [error]


@given(happened=histories())
def test_every_event_and_its_alarm_arrive_as_they_were_sent(happened: list[Event]) -> None:
    before = Alarm.absent("a")
    for event in happened:
        sent = Forward(1, 0.0, before, event)
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(sent), type=Forward) == sent
        before = event.alarm

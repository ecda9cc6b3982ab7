"""What a command is told, and when, if the store does not take its event or does not say whether it did."""

import asyncio
from collections.abc import Sequence

import pytest

from adapters.memory.log import MemoryLog
from core.alarm.events import Event
from core.application.appending import APPEND_SECONDS, Appending
from core.application.ports import TurnRequest
from core.errors import OutcomeUnknown, Unavailable
from core.log.ports import NotSent, Result, Stamp, Unknown, Written
from tests.kit.appending import first_raise
from tests.kit.hosts import HOST
from tests.kit.jumping import run


class Failing(MemoryLog):
    """A log as a store that answers every insert alike, or is not there at all."""

    def __init__(self, answer: Result | None) -> None:
        super().__init__("log")
        self._answer = answer

    def encode(self, event: Event) -> tuple[Event, int]:
        return event, 1

    async def insert(self, documents: Sequence[Event]) -> Result:
        assert documents
        assert self._answer is not None
        return self._answer

    async def stamps(self, first: int, limit: int) -> Sequence[Stamp]:
        return ()

    async def find(self, event_id: str) -> Event | None:
        return None

    async def tail(self) -> Stamp:
        if self._answer is None:
            raise Unavailable("away")
        return await super().tail()


class NoRequests:
    async def ask(self, request: TurnRequest) -> None:
        raise AssertionError

    async def newest(self) -> tuple[int, TurnRequest] | None:
        return None


@pytest.mark.parametrize(
    ("answer", "error"), [(None, Unavailable), (NotSent(), Unavailable), (Unknown(), OutcomeUnknown)]
)
def test_a_command_learns_in_bounded_time_whether_its_event_may_land(
    answer: Result | None, error: type[Exception]
) -> None:
    async def test() -> None:
        appending = Appending(Failing(answer), NoRequests(), HOST)
        async with appending.running():
            with pytest.raises(error):
                await appending.append(*first_raise())
        assert asyncio.get_running_loop().time() == pytest.approx(APPEND_SECONDS)

    run(test)


def test_a_process_that_must_not_append_does_not() -> None:
    def check() -> None:
        raise Unavailable("the clock is wrong")

    async def test() -> None:
        appending = Appending(Failing(Written()), NoRequests(), HOST, check)
        async with appending.running():
            with pytest.raises(Unavailable, match="the clock is wrong"):
                await appending.append(*first_raise())
        assert appending.counts.events == 0

    run(test)


def test_what_has_landed_is_told_after_each_write() -> None:
    told: list[tuple[int, list[Event]]] = []

    async def test() -> None:
        appending = Appending(Failing(Written()), NoRequests(), HOST)
        async with appending.running(lambda position, events: told.append((position, list(events)))):
            recorded = [await appending.append(*first_raise()) for _ in range(2)]
        assert told == [(1, recorded[:1]), (2, recorded[1:])]
        assert appending.counts.events == len(recorded)

    run(test)

"""What a command is told, and when, if the store does not take its event or does not say whether it did."""

import asyncio
import logging
from collections.abc import Sequence

import pytest

from core.alarm.events import Event
from core.application.appending import APPEND_SECONDS, Appending
from core.application.background import Background
from core.errors import OutcomeUnknown, Unavailable
from core.log.ports import NotSent, Result, Stamp, Unknown, Written
from tests.kit.appending import AnsweringStore, first_raise
from tests.kit.hosts import HOST
from tests.kit.jumping import run


class Failing(AnsweringStore):
    """A store that answers every insert alike, or is not there at all."""

    async def tail(self) -> Stamp:
        if self._answer is None:
            raise Unavailable("away")
        return await super().tail()


@pytest.mark.parametrize(
    ("answer", "error"), [(None, Unavailable), (NotSent(), Unavailable), (Unknown(), OutcomeUnknown)]
)
def test_a_command_learns_in_bounded_time_whether_its_event_may_land(
    answer: Result | None, error: type[Exception]
) -> None:
    async def test() -> None:
        appending = Appending(Failing(answer), HOST.chance)
        async with appending.running():
            with pytest.raises(error):
                await appending.append(*first_raise())
        assert asyncio.get_running_loop().time() == pytest.approx(APPEND_SECONDS)

    run(test)


def test_a_process_that_must_not_append_does_not() -> None:
    def check() -> None:
        raise Unavailable("the clock is wrong")

    async def test() -> None:
        appending = Appending(Failing(Written()), HOST.chance, check)
        async with appending.running():
            with pytest.raises(Unavailable, match="the clock is wrong"):
                await appending.append(*first_raise())
        assert appending.counts.events == 0

    run(test)


def test_what_has_landed_is_told_after_each_write() -> None:
    told: list[tuple[int, list[Event]]] = []

    async def test() -> None:
        appending = Appending(Failing(Written()), HOST.chance)
        async with appending.running(lambda position, events: told.append((position, list(events)))):
            recorded = [await appending.append(*first_raise()) for _ in range(2)]
        assert told == [(1, recorded[:1]), (2, recorded[1:])]
        assert appending.counts.events == len(recorded)

    run(test)


class Odd(Failing):
    """A log that raises what no port promises, as often as it is told."""

    def __init__(self, failures: int) -> None:
        super().__init__(Written())
        self.left = failures

    async def insert(self, documents: Sequence[Event]) -> Result:
        if self.left:
            self.left -= 1
            raise KeyError("at")
        return await super().insert(documents)


def test_the_appender_works_on_after_an_error_that_nobody_foresaw() -> None:
    async def test() -> None:
        appending, background = Appending(Odd(1), HOST.chance), Background(HOST.chance)
        async with appending.running(background=background):
            with pytest.raises(OutcomeUnknown):
                await appending.append(*first_raise())
            # Whoever sent the event is told at once.
            assert asyncio.get_running_loop().time() < 1.0
            assert background.troubles("serving") == [
                "the appender failed with KeyError and is started again"
            ]
            assert (await appending.append(*first_raise())).position == 1

    run(test)


def test_what_waits_when_the_appender_fails_is_written_afterwards() -> None:
    async def test() -> None:
        appending = Appending(Odd(1), HOST.chance)
        async with appending.running():
            # The second event of an alarm waits for the first.
            both = [appending.append(*first_raise("pump")) for _ in range(2)]
            first, second = await asyncio.gather(*both, return_exceptions=True)
        assert isinstance(first, OutcomeUnknown)
        assert isinstance(second, Event)

    run(test)


def test_a_listener_of_commits_that_fails_fails_no_command(caplog: pytest.LogCaptureFixture) -> None:
    def failing(*_: object) -> None:
        raise KeyError("at")

    async def test() -> None:
        appending = Appending(Failing(Written()), HOST.chance)
        async with appending.running(failing):
            assert [(await appending.append(*first_raise())).position for _ in range(2)] == [1, 2]

    with caplog.at_level(logging.ERROR, "tocsin.appender"):
        run(test)
    assert "KeyError" in caplog.text

"""The census of streams: what the log had, what came meanwhile, a log replaced, a log that cannot be read."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

import pytest

from core.application import stream_census
from core.application.stream_census import StreamCensus
from core.errors import Unavailable
from core.log.seen_streams import SeenStreams
from tests.kit.waiting import eventually


class Log:
    """Gives one page after the other; before each comes `between`."""

    def __init__(self, *pages: Sequence[str]) -> None:
        self.pages = list(pages)
        self.asked = 0
        self.between: Callable[[], None] = lambda: None

    async def streams(self) -> AsyncIterator[Sequence[str]]:
        self.asked += 1
        for page in self.pages:
            self.between()
            yield page


@pytest.fixture
async def streams() -> SeenStreams:
    return SeenStreams()


async def running(log: Log, streams: SeenStreams) -> tuple[StreamCensus, asyncio.Task[None]]:
    census = StreamCensus(log, streams, lambda: 0.0)
    return census, asyncio.create_task(census.run())


async def test_what_the_log_has_is_not_lacking(streams: SeenStreams) -> None:
    _, task = await running(Log(["a", "b"], ["c"]), streams)
    await eventually("the census", lambda: streams.lacks("z"))
    assert not any(streams.lacks(each) for each in "abc")
    task.cancel()


async def test_a_log_replaced_meanwhile_is_read_again(streams: SeenStreams) -> None:
    log = Log(["old"])
    census, task = await running(log, streams)

    def replaced() -> None:
        log.between = lambda: None
        log.pages = [["new"]]
        streams.forget()
        census.repeat()

    log.between = replaced
    await eventually("the census", lambda: streams.lacks("z"))
    assert log.asked == 2
    assert not streams.lacks("new")
    task.cancel()


async def test_a_log_that_cannot_be_read_is_read_again(streams: SeenStreams) -> None:
    log = Log(["a"])

    def failing() -> None:
        log.between = lambda: None
        raise Unavailable("away")

    log.between = failing
    _, task = await running(log, streams)
    await eventually("the census", lambda: streams.lacks("z"))
    assert log.asked == 2
    assert not streams.lacks("a")
    task.cancel()


async def test_of_too_many_streams_none_is_ever_lacking(
    streams: SeenStreams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_census, "STREAMS", 2)
    log = Log(["a", "b"], ["c"], ["d"])
    given: list[str] = []
    log.between = lambda: given.append("page")
    _, task = await running(log, streams)
    await eventually("two pages", lambda: len(given) == 2)
    await asyncio.sleep(0)
    assert not streams.lacks("z")
    task.cancel()

"""Waiting for whatever comes first, and ending what was waited for."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from core.alarm.events import Event
from core.application import waiting
from core.application.waiting import Arrivals, cancelled, closing, failing_with, first_of
from tests.kit.history import History
from tests.kit.jumping import run


class Follower:
    """Yields what it is given, batch by batch, and tells that it was ended."""

    def __init__(self) -> None:
        self.batches: asyncio.Queue[Sequence[Event] | Exception] = asyncio.Queue()
        self.ended = False

    async def follow(self) -> AsyncIterator[Sequence[Event]]:
        try:
            while True:
                batch = await self.batches.get()
                if isinstance(batch, Exception):
                    raise batch
                yield batch
        finally:
            self.ended = True


def raised() -> list[Event]:
    history = History()
    history.raised("pump-1")
    return history.events


def test_the_first_to_end_ends_the_waiting_and_what_is_awaited() -> None:
    async def test() -> None:
        ended: list[str] = []

        async def sleep(name: str, seconds: float) -> None:
            try:
                await asyncio.sleep(seconds)
            finally:
                ended.append(name)

        watched = asyncio.create_task(sleep("watched", 5))
        await first_of(sleep("short", 1), sleep("long", 3), watched=[watched])
        assert asyncio.get_running_loop().time() == 1
        assert ended == ["short", "long"]
        await watched
        assert asyncio.get_running_loop().time() == 5

    run(test)


def test_what_is_watched_ends_the_waiting_too() -> None:
    async def test() -> None:
        watched = asyncio.create_task(asyncio.sleep(2))
        await first_of(asyncio.sleep(9), watched=[watched])
        assert asyncio.get_running_loop().time() == 2

    run(test)


def test_waiting_that_is_cancelled_leaves_nothing_behind() -> None:
    async def test() -> None:
        waiting_task = asyncio.create_task(first_of(asyncio.sleep(50), asyncio.sleep(60)))
        await asyncio.sleep(1)
        await cancelled([waiting_task])
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(test)


def test_a_task_that_drops_a_cancellation_is_cancelled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "CANCEL_SECONDS", 2.0)

    async def test() -> None:
        async def stubborn() -> None:
            for _ in range(3):
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    continue

        task = asyncio.create_task(stubborn())
        await asyncio.sleep(0)
        await cancelled([task])
        assert task.done()
        assert asyncio.get_running_loop().time() == 4

    run(test)


async def test_a_generator_ends_with_the_block_that_reads_it() -> None:
    follower = Follower()
    follower.batches.put_nowait(raised())

    async def read() -> None:
        async with closing(follower.follow()) as batches:
            assert await anext(batches) == raised()
            raise KeyError

    with pytest.raises(KeyError):
        await read()
    assert follower.ended


async def test_an_iterator_that_is_no_generator_has_nothing_to_end() -> None:
    class Plain:
        def __aiter__(self) -> "Plain":
            return self

        async def __anext__(self) -> int:
            return 1

    async with closing(Plain()) as numbers:
        assert await anext(numbers) == 1


async def test_what_came_first_does_not_lose_the_batch_that_was_waited_for() -> None:
    follower, bell = Follower(), asyncio.Event()
    async with Arrivals(follower.follow()) as arrivals:
        bell.set()
        assert await arrivals.next(bell.wait()) == ()
        follower.batches.put_nowait(raised())
        assert await arrivals.next() == raised()
    assert follower.ended


async def test_what_a_follower_raises_is_raised_where_its_batch_is_waited_for() -> None:
    follower = Follower()
    follower.batches.put_nowait(KeyError("broken"))
    async with Arrivals(follower.follow()) as arrivals:
        with pytest.raises(KeyError):
            await arrivals.next()


async def test_a_follower_ends_with_its_block_while_it_is_waited_for() -> None:
    follower, bell = Follower(), asyncio.Event()
    bell.set()
    async with Arrivals(follower.follow()) as arrivals:
        await arrivals.next(bell.wait())
    assert follower.ended


async def test_every_batch_arrives_once_and_in_order() -> None:
    follower, history = Follower(), History()
    for number in range(3):
        history.raised(f"pump-{number}")
        follower.batches.put_nowait(history.events[number:])
    async with Arrivals(follower.follow()) as arrivals:
        assert [list(await arrivals.next()) for _ in range(3)] == [[event] for event in history.events]


def test_a_block_ends_with_the_error_of_a_task_that_fails() -> None:
    async def test() -> None:
        async def fail() -> None:
            await asyncio.sleep(1)
            raise KeyError("at")

        lasting, failing = asyncio.create_task(asyncio.sleep(9)), asyncio.create_task(fail())
        with pytest.raises(KeyError, match="at"):
            async with failing_with([lasting, failing]):
                await asyncio.Event().wait()
        assert asyncio.get_running_loop().time() == 1
        assert not lasting.done()
        lasting.cancel()

    run(test)


def test_a_task_that_ends_or_is_cancelled_leaves_the_block_alone() -> None:
    async def test() -> None:
        tasks = [asyncio.create_task(asyncio.sleep(seconds)) for seconds in (1, 9)]
        async with failing_with(tasks):
            tasks[1].cancel()
            await asyncio.sleep(2)
        assert asyncio.get_running_loop().time() == 2

    run(test)

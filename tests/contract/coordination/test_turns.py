"""What core.coordination.ports.Turns promises."""

import asyncio

import pytest

from adapters.inprocess.turns import StreamTurns
from core.errors import Unavailable
from tests.kit.jumping import run


async def once_around() -> None:
    """Let everything that can go on do so."""
    for _ in range(5):
        await asyncio.sleep(0)


async def held(turns: StreamTurns, stream: str, until: asyncio.Event) -> None:
    async with turns.turn(stream):
        await until.wait()


async def test_a_streams_turns_are_taken_one_at_a_time_in_order_of_arrival() -> None:
    turns, order, inside = StreamTurns(), list[int](), 0

    async def take(number: int) -> None:
        nonlocal inside
        async with turns.turn("a"):
            inside += 1
            assert inside == 1
            order.append(number)
            await asyncio.sleep(0)
            inside -= 1

    await asyncio.gather(*(take(number) for number in range(20)))
    assert order == list(range(20))


async def test_streams_do_not_wait_for_each_other() -> None:
    turns, until = StreamTurns(), asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(held(turns, "a", until))
        await once_around()
        async with turns.turn("b"):
            until.set()


def test_the_wait_for_a_turn_is_bounded() -> None:
    async def test() -> None:
        turns, until = StreamTurns(), asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(held(turns, "a", until))
            await once_around()
            with pytest.raises(Unavailable):
                await held(turns, "a", until)
            until.set()
        await held(turns, "a", until)

    run(test)


def test_the_wait_of_one_who_comes_between_two_turns_is_bounded() -> None:
    async def test() -> None:
        turns, first, second = StreamTurns(), asyncio.Event(), asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(held(turns, "a", first))
            await once_around()
            tasks.create_task(held(turns, "a", second))
            await once_around()
            first.set()
            await asyncio.sleep(0)
            # Given back, but the second is next.
            with pytest.raises(Unavailable):
                await held(turns, "a", second)
            second.set()

    run(test)


async def test_an_error_ends_a_turn() -> None:
    turns = StreamTurns()
    with pytest.raises(ZeroDivisionError):
        async with turns.turn("a"):
            raise ZeroDivisionError
    async with turns.turn("a"):
        pass


async def test_who_gives_up_waiting_is_passed_over() -> None:
    turns, until = StreamTurns(), asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(held(turns, "a", until))
        await once_around()
        impatient = tasks.create_task(held(turns, "a", until))
        patient = tasks.create_task(held(turns, "a", until))
        await once_around()
        impatient.cancel()
        await once_around()
        until.set()
        await patient


async def test_a_turn_that_comes_as_its_wait_is_cancelled_is_passed_on() -> None:
    turns, until = StreamTurns(), asyncio.Event()
    until.set()
    async with turns.turn("a"):
        cancelled = asyncio.create_task(held(turns, "a", until))
        last = asyncio.create_task(held(turns, "a", until))
        await once_around()
    cancelled.cancel()
    await last
    assert cancelled.cancelled()


def test_nothing_is_kept_of_idle_streams() -> None:
    async def test() -> None:
        turns, until = StreamTurns(), asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            for number in range(100):
                tasks.create_task(held(turns, f"{number}", until))
            await once_around()
            impatient = tasks.create_task(held(turns, "7", until))
            with pytest.raises(Unavailable):
                await held(turns, "8", until)
            impatient.cancel()
            await once_around()
            until.set()
        assert turns._held == {}

    run(test)

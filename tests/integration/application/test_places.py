"""Places for costly things: so many at once, a bounded queue, a bounded wait."""

import asyncio

import pytest

from core.application.places import Places
from core.errors import Unavailable


async def test_no_more_than_there_are_places_run_at_once() -> None:
    places, running, most = Places("things", 2, 10, 60.0), 0, 0

    async def run() -> None:
        nonlocal running, most
        async with places.taken():
            running += 1
            most = max(most, running)
            await asyncio.sleep(0)
            running -= 1

    await asyncio.gather(*(run() for _ in range(10)))
    assert most == 2


async def test_only_so_many_wait() -> None:
    places = Places("things", 1, 1, 60.0)

    async def take() -> None:
        async with places.taken():
            pass

    async with places.taken():
        waiting = asyncio.create_task(take())
        await asyncio.sleep(0)
        with pytest.raises(Unavailable, match="too many things"):
            await take()
    await waiting
    assert places.waiting == 0


async def test_a_place_rests_as_long_as_it_was_used_if_others_have_work() -> None:
    places, loop = Places("things", 1, 1, 60.0), asyncio.get_running_loop()
    async with places.taken(lambda: True):
        began = loop.time()
        await asyncio.to_thread(lambda: None)
        used = loop.time() - began
    async with places.taken():
        assert loop.time() - began >= 2 * used


async def test_nobody_waits_for_ever() -> None:
    places = Places("things", 1, 1, 0.01)
    async with places.taken():
        with pytest.raises(Unavailable, match="take all places"):
            async with places.taken():
                pass
    async with places.taken():
        assert places.waiting == 0


async def test_what_has_begun_waits_its_turn_however_long() -> None:
    places, got = Places("things", 1, 0, 0.0), asyncio.Event()

    async def go_on() -> None:
        async with places.waited_for():
            got.set()

    async with places.taken():
        going_on = asyncio.create_task(go_on())
        await asyncio.sleep(0)
        with pytest.raises(Unavailable):
            async with places.taken():
                pass
        assert not got.is_set()
    await asyncio.wait_for(going_on, 5.0)

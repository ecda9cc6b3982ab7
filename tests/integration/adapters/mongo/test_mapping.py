"""Mapping many documents: in order, and with turns for others."""

import asyncio
import time

import pytest

from adapters.mongo import mapping


@pytest.mark.parametrize("mapped", [mapping.mapped, mapping.mapped_aside])
async def test_all_are_mapped_in_order_and_others_have_their_turns(mapped: object) -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    made = await mapped(range(10 * mapping.SLICE), str)  # type: ignore[operator]
    counting.cancel()
    assert made == [str(number) for number in range(10 * mapping.SLICE)]
    assert turns >= 9


async def test_mapping_aside_waits_until_others_have_nothing_to_do() -> None:
    works, mapped_by_then = 5, []
    mapped: list[int] = []

    async def work() -> None:
        for _ in range(works):
            began = time.perf_counter()
            while time.perf_counter() - began < 10 * mapping.QUIET_SECONDS:
                pass
            await asyncio.sleep(0)
        mapped_by_then.append(len(mapped))

    working = asyncio.create_task(work())
    await mapping.mapped_aside(range(3 * mapping.SLICE), mapped.append)
    await working
    assert mapped_by_then == [mapping.SLICE]


async def test_mapping_aside_ends_on_a_busy_loop_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mapping, "QUIET_SECONDS", -1.0)
    assert len(await mapping.mapped_aside(range(3 * mapping.SLICE), str)) == 3 * mapping.SLICE

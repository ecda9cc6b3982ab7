"""Reads that go out together: everybody gets the answer to a question asked after theirs."""

import asyncio
from collections.abc import Sequence

import pytest

from adapters.mongo.log import batched_reads
from adapters.mongo.log.batched_reads import BatchedReads
from core.errors import Unavailable


class Store:
    """Answers the number of the command that asked, and not before it is let go."""

    def __init__(self) -> None:
        self.asked: list[Sequence[str]] = []
        self.go = asyncio.Event()
        self.error: Exception | None = None

    async def read(self, keys: Sequence[str]) -> dict[str, int]:
        number = len(self.asked)
        self.asked.append(keys)
        await self.go.wait()
        if self.error is not None:
            raise self.error
        return {key: number for key in keys if key != "nothing"}


async def asking(reads: BatchedReads, *keys: str) -> list[asyncio.Task[int | None]]:
    tasks = [asyncio.create_task(reads.get(key)) for key in keys]
    # A turn for the tasks to ask, and one for the readers to begin.
    for _ in range(2):
        await asyncio.sleep(0)
    return tasks


async def test_reads_that_wait_go_out_together() -> None:
    store = Store()
    reads = BatchedReads(store.read)
    tasks = await asking(reads, "a", "b", "nothing", "a")
    store.go.set()
    assert await asyncio.gather(*tasks) == [0, 0, None, 0]
    assert store.asked == [["a", "b", "nothing"]]


async def test_who_asks_while_a_read_is_under_way_gets_a_later_one() -> None:
    store = Store()
    reads = BatchedReads(store.read)
    first = await asking(reads, "a")
    second = await asking(reads, "a")
    third = await asking(reads, "a", "b")
    store.go.set()
    assert await asyncio.gather(*first, *second, *third) == [0, 1, 2, 2]
    assert len(store.asked) == batched_reads.READERS + 1


async def test_no_read_asks_for_more_than_it_may() -> None:
    store = Store()
    store.go.set()
    reads = BatchedReads(store.read)
    await asyncio.gather(*(reads.get(str(number)) for number in range(batched_reads.KEYS * 2 + 1)))
    assert max(len(keys) for keys in store.asked) == batched_reads.KEYS


async def test_an_error_goes_to_everybody_who_asked_and_to_nobody_else() -> None:
    store = Store()
    store.error = Unavailable("no primary")
    store.go.set()
    reads = BatchedReads(store.read)
    results = await asyncio.gather(reads.get("a"), reads.get("b"), return_exceptions=True)
    assert list(results) == [store.error] * 2
    store.error = None
    assert await reads.get("a") == 1


async def test_a_store_that_is_away_is_not_asked_again_for_those_who_wait() -> None:
    store = Store()
    store.error = Unavailable("no primary")
    reads = BatchedReads(store.read)
    under_way = [*await asking(reads, "a"), *await asking(reads, "a")]
    waiting = await asking(reads, *(str(number) for number in range(batched_reads.KEYS + 1)))
    store.go.set()
    results = await asyncio.gather(*under_way, *waiting, return_exceptions=True)
    assert set(results) == {store.error}
    assert len(store.asked) == batched_reads.READERS


async def test_no_read_asks_for_more_bytes_than_it_may() -> None:
    store = Store()
    store.go.set()
    reads = BatchedReads(store.read)
    long = [str(number) * 5_000 for number in range(10)]
    await asyncio.gather(*(reads.get(key) for key in [*long, "x" * batched_reads.KEYS_BYTES]))
    sizes = [len("".join(keys)) for keys in store.asked if len(keys) > 1]
    assert max(sizes) <= batched_reads.KEYS_BYTES
    assert ["x" * batched_reads.KEYS_BYTES] in store.asked


async def test_a_key_that_cannot_be_read_fails_alone() -> None:
    class Picky(Store):
        async def read(self, keys: Sequence[str]) -> dict[str, int]:
            if "bad" in keys:
                raise ValueError("too large")
            return await super().read(keys)

    store = Picky()
    reads = BatchedReads(store.read)
    under_way = [*await asking(reads, "a"), *await asking(reads, "a")]
    waiting = await asking(reads, "b", "bad", "c")
    store.go.set()
    results = await asyncio.gather(*under_way, *waiting, return_exceptions=True)
    assert [type(result) for result in results] == [int, int, int, ValueError, int]


async def test_who_gives_up_takes_nobody_along() -> None:
    store = Store()
    reads = BatchedReads(store.read)
    impatient, patient = await asking(reads, "a", "a")
    impatient.cancel()
    store.go.set()
    assert await patient == 0
    with pytest.raises(asyncio.CancelledError):
        await impatient

"""Batches reads that arrive while others are under way."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from core.errors import Unavailable

KEYS = 256
"""How many keys one command asks for: so many of the largest events fit one answer of 16 MiB."""
KEYS_BYTES = 64 * 1024
"""How many bytes of keys one command asks for; a longer key is asked for alone."""
READERS = 2
"""How many commands are under way at once, so that a slow one does not hold up the others."""

ReadKeys = Callable[[Sequence[str]], Awaitable[Mapping[str, Any]]]


class BatchedReads:
    """Answers each `get` by a `read` that begins after it and asks for all waiting keys.

    At low rates each key is read at once, alone. Keys that arrive while READERS reads are under way are read
    together, as the log's writes are written.
    """

    def __init__(self, read: ReadKeys) -> None:
        self._read = read
        self._waiting: dict[str, asyncio.Future[Any]] = {}
        self._readers: set[asyncio.Task[None]] = set()

    async def get(self, key: str) -> Any:
        """Return the key's value, None without one; raises what `read` raises."""
        answer = self._waiting.get(key)
        if answer is None:
            answer = self._waiting[key] = asyncio.get_running_loop().create_future()
            if len(self._readers) < READERS:
                reader = asyncio.create_task(self._run())
                self._readers.add(reader)
                reader.add_done_callback(self._readers.discard)
        # Other callers may wait for the same answer: it must outlive a caller that gives up.
        return await asyncio.shield(answer)

    async def _run(self) -> None:
        while self._waiting:
            batch = self._take()
            try:
                found = await self._read(list(batch))
            except Unavailable as error:
                # Waiting keys fail too: a store that is away is slow to fail, and once is enough.
                batch |= self._waiting
                self._waiting.clear()
                _fail(batch, error)
            except Exception as error:  # noqa: BLE001 (the callers get it)
                await self._read_each(batch, error)
            else:
                for key, answer in batch.items():
                    answer.set_result(found.get(key))

    def _take(self) -> dict[str, asyncio.Future[Any]]:
        batch: dict[str, asyncio.Future[Any]] = {}
        size = 0
        for key in list(self._waiting)[:KEYS]:
            # No character takes more than four bytes, and counting them exactly takes longer.
            size += 4 * len(key)
            if batch and size > KEYS_BYTES:
                break
            batch[key] = self._waiting.pop(key)
        return batch

    async def _read_each(self, batch: dict[str, asyncio.Future[Any]], error: Exception) -> None:
        """Read the keys one by one, since one of them made the batch fail."""
        if len(batch) == 1:
            _fail(batch, error)
            return
        for key, answer in batch.items():
            try:
                answer.set_result((await self._read([key])).get(key))
            except Exception as own:  # noqa: BLE001 (the caller gets it)
                _fail({key: answer}, own)


def _fail(answers: Mapping[str, asyncio.Future[Any]], error: Exception) -> None:
    for answer in answers.values():
        answer.set_exception(error)
        # Mark the error as seen: every caller may have given up.
        answer.exception()

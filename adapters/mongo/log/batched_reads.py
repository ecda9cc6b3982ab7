"""Batches reads that arrive while others are under way."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

KEYS = 256
"""How many keys are read at once."""
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
            keys = list(self._waiting)[:KEYS]
            answers = {key: self._waiting.pop(key) for key in keys}
            try:
                found = await self._read(keys)
            except Exception as error:  # noqa: BLE001 (the callers get it)
                # Waiting keys fail too: a store that is away is slow to fail, and once is enough.
                answers |= self._waiting
                self._waiting.clear()
                for answer in answers.values():
                    answer.set_exception(error)
                    # Mark the error as seen: every caller may have given up.
                    answer.exception()
            else:
                for key, answer in answers.items():
                    answer.set_result(found.get(key))

"""Batches reads that arrive while others are under way."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

KEYS = 256
"""How many keys one command asks for: as many of the largest events as fit its answer of 16 MiB."""
READERS = 2
"""How many commands are under way at once, so that a slow one does not hold up all others."""

Read = Callable[[Sequence[str]], Awaitable[Mapping[str, Any]]]


class BatchedReads:
    """Answers each `get` by a `read` that begins after it and asks for all keys that wait.

    At low rates a read goes out at once, alone; what arrives while READERS of them are under way goes out
    together, as the log's writes do.
    """

    def __init__(self, read: Read) -> None:
        self._read = read
        self._waiting: dict[str, asyncio.Future[Any]] = {}
        self._readers: set[asyncio.Task[None]] = set()

    async def get(self, key: str) -> Any:
        """Return what the key has, None if nothing; raises what `read` raises."""
        answer = self._waiting.get(key)
        if answer is None:
            answer = self._waiting[key] = asyncio.get_running_loop().create_future()
            if len(self._readers) < READERS:
                reader = asyncio.create_task(self._run())
                self._readers.add(reader)
                reader.add_done_callback(self._readers.discard)
        # Others may wait for the same answer: it must outlive whoever gives up.
        return await asyncio.shield(answer)

    async def _run(self) -> None:
        while self._waiting:
            keys = list(self._waiting)[:KEYS]
            answers = {key: self._waiting.pop(key) for key in keys}
            try:
                found = await self._read(keys)
            except Exception as error:  # noqa: BLE001 (whoever asked gets it)
                # Those that wait as well: a store that is away takes its time to say so, and once is enough.
                answers |= self._waiting
                self._waiting.clear()
                for answer in answers.values():
                    answer.set_exception(error)
                    # Whoever asked may have given up: then nobody needs to hear of it.
                    answer.exception()
            else:
                for key, answer in answers.items():
                    answer.set_result(found.get(key))

"""Reads how far the log goes, for a position that somebody else has seen."""

import asyncio

from core.log.ports import LogPositions

PAUSE_SECONDS = 0.2


async def tail_up_to(log: LogPositions, position: int, tries: int) -> int:
    """Return the tail's position; read it up to `tries` times while it is before `position`.

    A new primary's majority view may lag behind what its predecessor showed. Raises Unavailable.
    """
    tail = (await log.tail()).position
    for _ in range(tries - 1):
        if tail >= position:
            break
        await asyncio.sleep(PAUSE_SECONDS)
        tail = (await log.tail()).position
    return tail

"""Maps many documents without keeping the event loop from others."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")
S = TypeVar("S")

SLICE = 25
"""How many documents are mapped at once: about 1 ms."""
QUIET_SECONDS = 0.000_2
"""A turn of the loop that takes less had nothing to do for others."""
MOST_TURNS = 25
"""How many turns others have at most after each slice, so that the mapping ends on a busy loop too."""


async def mapped(documents: Sequence[S], make: Callable[[S], T]) -> list[T]:
    """Return what `make` makes of each document; others have a turn after every few of them."""
    made: list[T] = []
    for first in range(0, len(documents), SLICE):
        if first:
            await asyncio.sleep(0)
        made += map(make, documents[first : first + SLICE])
    return made


async def mapped_aside(documents: Sequence[S], make: Callable[[S], T]) -> list[T]:
    """Return the same, but after every few documents wait until others have nothing to do."""
    made: list[T] = []
    for first in range(0, len(documents), SLICE):
        made += map(make, documents[first : first + SLICE])
        await quiet()
    return made


async def quiet() -> None:
    """Wait until a turn of the loop had nothing to do, for MOST_TURNS turns at most."""
    for _ in range(MOST_TURNS):
        began = time.perf_counter()
        await asyncio.sleep(0)
        if time.perf_counter() - began < QUIET_SECONDS:
            return

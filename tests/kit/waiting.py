"""Bounded waiting for a condition: what the tests do instead of sleeping."""

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

POLL_SECONDS = 0.02
"""How often a condition is looked at that nobody announces."""


class NeverHappened(AssertionError):
    """A condition did not come true within its bound."""


def wait_until(what: str, condition: Callable[[], T | None], seconds: float = 20.0) -> T:
    """Return the first truthy answer of the condition; blocks, so in a coroutine use `eventually`.

    Raises:
        NeverHappened: there was none within the bound.
    """
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        if time.monotonic() >= deadline:
            raise NeverHappened(f"not within {seconds:g} s: {what}")
        time.sleep(POLL_SECONDS)
    return answer


async def eventually(what: str, condition: Callable[[], T | None], seconds: float = 20.0) -> T:
    """Return the first truthy answer of a condition that needs the loop to run meanwhile.

    Raises:
        NeverHappened: there was none within the bound.
    """
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        if time.monotonic() >= deadline:
            raise NeverHappened(f"not within {seconds:g} s: {what}")
        await asyncio.sleep(POLL_SECONDS)
    return answer

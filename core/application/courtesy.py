"""Fair appending: a process that keeps losing the race for the next position asks to go first (ADR 0013).

Correctness does not depend on it. A lost, late or forged request costs a little time; positions stay exact
because the store takes each position once.
"""

import asyncio
import math
from collections.abc import Callable, Sequence
from contextlib import suppress

from core.alarm.events import Event
from core.application.ports import TurnRequest, TurnRequests
from core.errors import Unavailable

PATIENCE_SECONDS = 0.05
"""How long a process's oldest event waits before the process asks, and the pause between two requests."""
HOLD_BACK_SECONDS = (0.02, 0.1)
"""The shortest and the longest time that others hold back if they don't see the favoured event."""
TRIES = 3
"""How many tries a process asks for: the first may still lose to writes under way."""


class Courtesy:
    """Decides when this process holds back its next append, and when it asks others to.

    `process` is a name that no other process has. `waiting` returns the seconds that this process's oldest
    event has waited, 0.0 without one.
    """

    def __init__(self, requests: TurnRequests, process: str, waiting: Callable[[], float]) -> None:
        self._requests = requests
        self._process = process
        self._waiting = waiting
        # The event of another process that goes first, and until when, by the loop's clock.
        self._favoured = ""
        self._held_until = 0.0
        self._released = asyncio.Event()
        # The number of the newest request that was read.
        self._read = 0
        self._asked_at = -math.inf
        # A reference, so that the task is not collected before it has run.
        self._asking: asyncio.Task[None] | None = None

    async def wait(self) -> None:
        """Return when this process may append: at once, unless one that has waited longer asked first."""
        while (seconds := self._held_until - self._now()) > 0:
            self._released.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._released.wait()

    def lost(self, event_id: str, seconds: float) -> None:
        """Note that a try of so many seconds, beginning with this event, lost the race; ask if it is time."""
        now, waited = self._now(), self._waiting()
        if waited >= PATIENCE_SECONDS and now - self._asked_at >= PATIENCE_SECONDS:
            self._asked_at = now
            request = TurnRequest(self._process, event_id, waited, _bounded(TRIES * seconds))
            self._asking = asyncio.create_task(self._ask(request))

    def landed(self, events: Sequence[Event]) -> None:
        """Stop holding back if the favoured event is among these events of the log."""
        if self._favoured and any(event.event_id == self._favoured for event in events):
            self._favoured, self._held_until = "", 0.0
            self._released.set()

    async def read_request(self) -> None:
        """Read the newest request; hold back the next append if its process has waited longer."""
        try:
            newest = await self._requests.newest()
        except Unavailable:
            return
        if newest is None or newest[0] == self._read:
            return
        self._read, request = newest
        if request.process != self._process and request.waited > self._waiting():
            self._favoured = request.event_id
            self._held_until = self._now() + _bounded(request.seconds)

    async def _ask(self, request: TurnRequest) -> None:
        with suppress(Unavailable):
            await self._requests.ask(request)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


def _bounded(seconds: float) -> float:
    shortest, longest = HOLD_BACK_SECONDS
    return min(longest, max(shortest, seconds))

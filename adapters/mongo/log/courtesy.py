"""Fair appending: a process that keeps losing the race for the next position asks to go first (ADR 0013).

Correctness does not depend on it. A lost, late or forged request costs a little time; positions stay exact
because `_id` is unique.
"""

import asyncio
import contextlib
import math
import uuid
from collections.abc import Callable, Sequence

from pymongo import WriteConcern
from pymongo.errors import PyMongoError

from adapters.mongo.client import Database
from core.alarm.events import Event

TURNS = "turns"
"""The collection that the doorbell watches for requests."""

PATIENCE_SECONDS = 0.05
"""How long a process's oldest event waits before the process asks, and the pause between two requests."""
HOLD_BACK_SECONDS = (0.02, 0.1)
"""The shortest and the longest time that others hold back if they don't see the favoured event."""
TRIES = 3
"""How many tries a process asks for: the first may still lose to writes under way."""
ASK_MS = 1_000

_REQUEST = "append"


class Courtesy:
    """Decides when this process holds back its next append, and when it asks others to.

    `waiting` returns the seconds that this process's oldest event has waited, 0.0 without one.
    """

    def __init__(self, database: Database, waiting: Callable[[], float]) -> None:
        # Not majority: a failover may undo a request without harm.
        self._turns = database.get_collection(TURNS, write_concern=WriteConcern(1))
        self._name = uuid.uuid4().hex
        self._waiting = waiting
        # The event of another process that goes first, and until when, by the loop's clock.
        self._favoured = ""
        self._held_until = 0.0
        self._released = asyncio.Event()
        self._heeded: object = None
        self._asked_at = -math.inf
        # A reference, so that the task is not collected before it has run.
        self._asking: asyncio.Task[None] | None = None

    async def wait(self) -> None:
        """Return when this process may append: at once, unless one that has waited longer asked first."""
        while (seconds := self._held_until - self._now()) > 0:
            self._released.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._released.wait()

    def lost(self, event_id: str, seconds: float) -> None:
        """Note that a try, beginning with this event, lost the race; ask if it is time."""
        now, waited = self._now(), self._waiting()
        if waited >= PATIENCE_SECONDS and now - self._asked_at >= PATIENCE_SECONDS:
            self._asked_at = now
            self._asking = asyncio.create_task(self._ask(event_id, waited, _bounded(TRIES * seconds)))

    def saw(self, events: Sequence[Event]) -> None:
        """Stop holding back if the favoured event is among these events of the log."""
        if self._favoured and any(event.event_id == self._favoured for event in events):
            self._favoured, self._held_until = "", 0.0
            self._released.set()

    async def heed(self) -> None:
        """Hold back the next append if a process that has waited longer asks for it."""
        try:
            request = await self._turns.find_one({"_id": _REQUEST}, max_time_ms=ASK_MS)
        except PyMongoError:
            return
        if request is None or request["asked"] == self._heeded:
            return
        self._heeded = request["asked"]
        if request["by"] != self._name and request["waited"] > self._waiting():
            self._favoured = request["event_id"]
            self._held_until = self._now() + _bounded(request["seconds"])

    async def _ask(self, event_id: str, waited: float, seconds: float) -> None:
        request = {"by": self._name, "event_id": event_id, "waited": waited, "seconds": seconds}
        with contextlib.suppress(PyMongoError):
            await self._turns.update_one(
                {"_id": _REQUEST}, {"$set": request, "$inc": {"asked": 1}}, upsert=True
            )

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


def _bounded(seconds: float) -> float:
    shortest, longest = HOLD_BACK_SECONDS
    return min(longest, max(shortest, seconds))

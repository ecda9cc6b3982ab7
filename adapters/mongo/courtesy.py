"""Fair appending: who keeps losing the race for the next position asks, and the others hold back a moment.

Nothing rests on it. A request that is lost, late or made up costs a little time; positions stay exact
because `_id` is unique.
"""

import asyncio
import contextlib
import math
import uuid

from pymongo import WriteConcern
from pymongo.errors import PyMongoError

from adapters.mongo.client import Database

TURNS = "turns"
"""The collection that the doorbell watches for requests."""

PATIENCE_SECONDS = 0.1
"""How long a process loses every race before it asks, and before it asks again."""
HOLD_BACK_SECONDS = (0.02, 0.1)
"""The shortest and the longest that the others hold back for one request."""
TRIES = 3
"""How many tries a process asks for: the first may still meet what was under way."""
ASK_MS = 1_000

_REQUEST = "append"


class Courtesy:
    """When this process holds back its next append, and when it asks the others to."""

    def __init__(self, database: Database) -> None:
        # Not majority: a request that a failover undoes was courtesy only.
        self._turns = database.get_collection(TURNS, write_concern=WriteConcern(1))
        self._name = uuid.uuid4().hex
        self._losing_since: float | None = None
        # Before this moment of the loop's clock nothing is appended, as somebody asked.
        self._held_until = 0.0
        self._heeded: object = None
        self._asked_at = -math.inf
        # Held, so that it is not collected before it has run.
        self._asking: asyncio.Task[None] | None = None

    async def wait(self) -> None:
        """Return when this process may append: at once, unless somebody asked who is worse off."""
        seconds = self._held_until - self._now()
        if seconds > 0:
            await asyncio.sleep(seconds)

    def tried(self, *, lost: bool, seconds: float) -> None:
        """Take note how a try ended and how long it took; ask if they are lost one after the other."""
        now = self._now()
        if not lost:
            self._losing_since = None
            return
        if self._losing_since is None:
            self._losing_since = now - seconds
        waited = now - self._losing_since
        if waited >= PATIENCE_SECONDS and now - self._asked_at >= PATIENCE_SECONDS:
            self._asked_at = now
            self._asking = asyncio.create_task(self._ask(waited, _bounded(TRIES * seconds)))

    async def heed(self) -> None:
        """Look whether somebody asked who has been losing for longer, and if so hold back the next append."""
        try:
            request = await self._turns.find_one({"_id": _REQUEST}, max_time_ms=ASK_MS)
        except PyMongoError:
            return
        if request is None or request["asked"] == self._heeded:
            return
        self._heeded = request["asked"]
        waited = 0.0 if self._losing_since is None else self._now() - self._losing_since
        if request["by"] != self._name and request["waited"] > waited:
            self._held_until = self._now() + _bounded(request["seconds"])

    async def _ask(self, waited: float, seconds: float) -> None:
        request = {"by": self._name, "waited": waited, "seconds": seconds}
        with contextlib.suppress(PyMongoError):
            await self._turns.update_one(
                {"_id": _REQUEST}, {"$set": request, "$inc": {"asked": 1}}, upsert=True
            )

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


def _bounded(seconds: float) -> float:
    shortest, longest = HOLD_BACK_SECONDS
    return min(longest, max(shortest, seconds))

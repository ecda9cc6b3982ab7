"""The running processes: one document each, which the server removes when it expires."""

from pymongo import ASCENDING, IndexModel

from adapters.mongo.client import Database
from adapters.mongo.errors import BULK_SECONDS, retried

PROCESSES = "processes"


class MongoPresence:
    """The processes (see core.coordination.ports.Presence)."""

    def __init__(self, database: Database) -> None:
        self._processes = database[PROCESSES]

    async def create(self) -> None:
        """Make sure the index exists that removes expired documents. Raises Unavailable."""
        index = IndexModel([("until", ASCENDING)], name="until", expireAfterSeconds=0)
        await retried(lambda: self._processes.create_indexes([index]), BULK_SECONDS)

    async def announce(self, process: str, leading: int, seconds: float) -> int | None:
        """Announce the process for `seconds`; return the fewest tasks that another process leads."""
        change = [{"$set": {"until": {"$add": ["$$NOW", round(seconds * 1_000)]}, "leading": leading}}]
        await retried(lambda: self._processes.update_one({"_id": process}, change, upsert=True))
        # The server removes expired documents only once a minute.
        others = {"_id": {"$ne": process}, "$expr": {"$gt": ["$until", "$$NOW"]}}
        fewest = await retried(lambda: self._processes.find_one(others, sort=[("leading", ASCENDING)]))
        # A process of an earlier version does not store how many it leads.
        return None if fewest is None else fewest.get("leading", 0)

    async def leave(self, process: str) -> None:
        """Remove the process."""
        await retried(lambda: self._processes.delete_one({"_id": process}))

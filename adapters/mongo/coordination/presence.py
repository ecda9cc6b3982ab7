"""Which processes there are: a document for each, which the server removes when it runs out."""

from pymongo import ASCENDING, IndexModel

from adapters.mongo.client import Database
from adapters.mongo.errors import BULK_SECONDS, retried

PROCESSES = "processes"


class MongoPresence:
    """The processes (see core.coordination.ports.Presence)."""

    def __init__(self, database: Database) -> None:
        self._processes = database[PROCESSES]

    async def create(self) -> None:
        """Make sure the index exists that removes what ran out. Raises Unavailable."""
        index = IndexModel([("until", ASCENDING)], name="until", expireAfterSeconds=0)
        await retried(lambda: self._processes.create_indexes([index]), BULK_SECONDS)

    async def announce(self, process: str, leading: int, seconds: float) -> int | None:
        """Say that the process is there for so long; return the fewest another one leads."""
        said = [{"$set": {"until": {"$add": ["$$NOW", round(seconds * 1_000)]}, "leading": leading}}]
        await retried(lambda: self._processes.update_one({"_id": process}, said, upsert=True))
        # The server removes what ran out once a minute.
        others = {"_id": {"$ne": process}, "$expr": {"$gt": ["$until", "$$NOW"]}}
        fewest = await retried(lambda: self._processes.find_one(others, sort=[("leading", ASCENDING)]))
        # One of an earlier version does not say how many it leads.
        return None if fewest is None else fewest.get("leading", 0)

    async def leave(self, process: str) -> None:
        """Say that the process is gone."""
        await retried(lambda: self._processes.delete_one({"_id": process}))

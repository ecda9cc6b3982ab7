"""Which processes there are: a document for each, which the server removes when it runs out."""

from pymongo import ASCENDING, IndexModel

from adapters.mongo.client import Database
from adapters.mongo.errors import BULK_SECONDS, retried

PROCESSES = "processes"


class MongoPresence:
    """The processes (see core.ports.Presence)."""

    def __init__(self, database: Database) -> None:
        self._processes = database[PROCESSES]

    async def create(self) -> None:
        """Make sure the index exists that removes what ran out. Raises Unavailable."""
        index = IndexModel([("until", ASCENDING)], name="until", expireAfterSeconds=0)
        await retried(lambda: self._processes.create_indexes([index]), BULK_SECONDS)

    async def announce(self, process: str, seconds: float) -> int:
        """Say that the process is there for so long; return how many are."""
        until = [{"$set": {"until": {"$add": ["$$NOW", round(seconds * 1_000)]}}}]
        await retried(lambda: self._processes.update_one({"_id": process}, until, upsert=True))
        # The server removes what ran out once a minute.
        present = {"$expr": {"$gt": ["$until", "$$NOW"]}}
        return await retried(lambda: self._processes.count_documents(present))

    async def leave(self, process: str) -> None:
        """Say that the process is gone."""
        await retried(lambda: self._processes.delete_one({"_id": process}))

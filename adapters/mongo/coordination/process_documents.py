"""Documents of the running processes: one each, by the server's clock, which it removes when they expire."""

from typing import Any

from motor.motor_asyncio import AsyncIOMotorCollection
from pymongo import ASCENDING, IndexModel

from adapters.mongo.client import Database, Document
from adapters.mongo.errors import BULK_SECONDS, retried
from adapters.mongo.moments import from_now


class ProcessDocuments:
    """A collection of such documents, by the process's name. Every method raises Unavailable."""

    def __init__(self, database: Database, collection: str) -> None:
        self.collection: AsyncIOMotorCollection[Document] = database[collection]

    async def create(self) -> None:
        """Make sure the index exists that removes expired documents."""
        index = IndexModel([("until", ASCENDING)], name="until", expireAfterSeconds=0)
        await retried(lambda: self.collection.create_indexes([index]), BULK_SECONDS)

    async def put(self, process: str, fields: dict[str, Any], seconds: float) -> None:
        """Set the process's fields, which are expressions, for so many seconds."""
        change = [{"$set": {"until": from_now(seconds), **fields}}]
        await retried(lambda: self.collection.update_one({"_id": process}, change, upsert=True))

    def others(self, process: str) -> Document:
        """Return the condition of the other processes' documents."""
        # The server removes expired documents only once a minute.
        return {"_id": {"$ne": process}, "$expr": {"$gt": ["$until", "$$NOW"]}}

    async def remove(self, process: str) -> None:
        """Remove the process's document."""
        await retried(lambda: self.collection.delete_one({"_id": process}))

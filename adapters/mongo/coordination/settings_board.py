"""The settings of the running processes, as digests: one document each, which expires."""

from collections.abc import Mapping, Sequence

from pymongo import ASCENDING, IndexModel

from adapters.mongo.client import Database, Document
from adapters.mongo.errors import BULK_SECONDS, retried

SETTINGS = "settings"


class MongoSettingsBoard:
    """The processes' settings (see core.coordination.ports.SettingsBoard)."""

    def __init__(self, database: Database) -> None:
        self._settings = database[SETTINGS]

    async def create(self) -> None:
        """Make sure the index exists that removes expired documents. Raises Unavailable."""
        index = IndexModel([("until", ASCENDING)], name="until", expireAfterSeconds=0)
        await retried(lambda: self._settings.create_indexes([index]), BULK_SECONDS)

    async def post(
        self, process: str, digests: Mapping[str, str], seconds: float
    ) -> Sequence[Mapping[str, str]]:
        """Announce the process's settings; return those of the others."""
        until = {"$add": ["$$NOW", round(seconds * 1_000)]}
        change: list[Document] = [{"$set": {"until": until, "digests": {"$literal": dict(digests)}}}]
        await retried(lambda: self._settings.update_one({"_id": process}, change, upsert=True))
        # The server removes expired documents only once a minute.
        others = {"_id": {"$ne": process}, "$expr": {"$gt": ["$until", "$$NOW"]}}
        found = await retried(lambda: self._settings.find(others, {"digests": 1}).to_list())
        return [other["digests"] for other in found]

    async def withdraw(self, process: str) -> None:
        """Remove the process's settings."""
        await retried(lambda: self._settings.delete_one({"_id": process}))

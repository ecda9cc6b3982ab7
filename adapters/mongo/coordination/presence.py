"""The running processes, and how many tasks each leads."""

from pymongo import ASCENDING

from adapters.mongo.client import Database
from adapters.mongo.coordination.process_documents import ProcessDocuments
from adapters.mongo.errors import retried

PROCESSES = "processes"


class MongoPresence:
    """The processes (see core.coordination.ports.Presence)."""

    def __init__(self, database: Database) -> None:
        self._processes = ProcessDocuments(database, PROCESSES)

    async def create(self) -> None:
        """Make sure the index exists that removes expired documents. Raises Unavailable."""
        await self._processes.create()

    async def announce(self, process: str, leading: int, seconds: float) -> int | None:
        """Announce the process for `seconds`; return the fewest tasks that another process leads."""
        await self._processes.put(process, {"leading": leading}, seconds)
        others = self._processes.others(process)
        fewest = await retried(
            lambda: self._processes.collection.find_one(others, sort=[("leading", ASCENDING)])
        )
        # A process of an earlier version does not store how many it leads.
        return None if fewest is None else fewest.get("leading", 0)

    async def leave(self, process: str) -> None:
        """Remove the process."""
        await self._processes.remove(process)

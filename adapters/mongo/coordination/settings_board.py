"""The settings of the running processes, as digests."""

from collections.abc import Mapping, Sequence

from adapters.mongo.client import Database
from adapters.mongo.coordination.process_documents import ProcessDocuments
from adapters.mongo.errors import retried

SETTINGS = "settings"


class MongoSettingsBoard:
    """The processes' settings (see core.coordination.ports.SettingsBoard)."""

    def __init__(self, database: Database) -> None:
        self._settings = ProcessDocuments(database, SETTINGS)

    async def create(self) -> None:
        """Make sure the index exists that removes expired documents. Raises Unavailable."""
        await self._settings.create()

    async def post(
        self, process: str, digests: Mapping[str, str], seconds: float
    ) -> Sequence[Mapping[str, str]]:
        """Announce the process's settings; return those of the others."""
        await self._settings.put(process, {"digests": {"$literal": dict(digests)}}, seconds)
        others = self._settings.others(process)
        found = await retried(lambda: self._settings.collection.find(others, {"digests": 1}).to_list())
        return [other["digests"] for other in found]

    async def withdraw(self, process: str) -> None:
        """Remove the process's settings."""
        await self._settings.remove(process)

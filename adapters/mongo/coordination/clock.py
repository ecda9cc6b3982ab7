"""MongoDB's clock, as the primary tells it."""

from datetime import UTC, datetime

from adapters.mongo.client import Database
from adapters.mongo.errors import retried


class MongoClock:
    """The primary's clock (see core.application.ports.StoreClock)."""

    def __init__(self, database: Database) -> None:
        self._admin = database.client.admin

    async def now(self) -> datetime:
        """Return the primary's time at some moment of this call."""
        hello = await retried(lambda: self._admin.command("hello"))
        local: datetime = hello["localTime"]
        return local.replace(tzinfo=UTC)

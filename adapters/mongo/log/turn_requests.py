"""The requests of processes that ask for their turn to append: one document, replaced by each request."""

from pymongo import WriteConcern
from pymongo.errors import PyMongoError

from adapters.mongo.client import Database
from adapters.mongo.errors import unavailable
from core.application.ports import TURNS, TurnRequest

READ_MS = 1_000

_REQUEST = "append"


class MongoTurnRequests:
    """The newest request (see core.application.ports). No call is repeated: a late request has no worth."""

    def __init__(self, database: Database) -> None:
        # Not majority: a failover may undo a request without harm.
        self._turns = database.get_collection(TURNS, write_concern=WriteConcern(1))

    async def ask(self, request: TurnRequest) -> None:
        """Replace the newest request."""
        fields = {
            "by": request.process,
            "event_id": request.event_id,
            "waited": request.waited,
            "seconds": request.seconds,
        }
        change = {"$set": fields, "$inc": {"asked": 1}}
        try:
            await self._turns.update_one({"_id": _REQUEST}, change, upsert=True)
        except PyMongoError as error:
            raise unavailable(error) from error

    async def newest(self) -> tuple[int, TurnRequest] | None:
        """Return how many requests there were, and the newest; None before the first."""
        try:
            found = await self._turns.find_one({"_id": _REQUEST}, max_time_ms=READ_MS)
        except PyMongoError as error:
            raise unavailable(error) from error
        if found is None:
            return None
        request = TurnRequest(found["by"], found["event_id"], found["waited"], found["seconds"])
        return found["asked"], request

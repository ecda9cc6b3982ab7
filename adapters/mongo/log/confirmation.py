"""Confirms that the log's primary has not been replaced unnoticed, for reads that must miss nothing."""

from collections.abc import Mapping, Sequence
from typing import Any

from bson import Timestamp
from pymongo.errors import OperationFailure

from adapters.mongo.client import WRITE_MS, Database
from adapters.mongo.errors import retried
from adapters.mongo.log.batched_reads import BatchedReads

CONFIRMATIONS = "confirmations"

_PRIMARY = "primary"
# It must change something: of a write without effect a replaced primary would say that a majority has it.
_UPDATE = {
    "update": CONFIRMATIONS,
    "updates": [{"q": {"_id": _PRIMARY}, "u": {"$inc": {"times": 1}}, "upsert": True}],
    "writeConcern": {"w": "majority", "j": True, "wtimeout": WRITE_MS},
}


class Confirmation:
    """Makes reads linearizable by a majority write before them; those that wait together share one.

    No majority takes a write from a primary that another has replaced. So whatever was acknowledged before
    the write began comes before it in the oplog, and a majority read as of that write sees it, on any node.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._writes = BatchedReads(self._write)

    async def read_concern(self) -> Mapping[str, Any]:
        """Return the concern of a read that sees all that was acknowledged before. Raises Unavailable."""
        return {"level": "majority", "afterClusterTime": await self._writes.get(_PRIMARY)}

    async def _write(self, keys: Sequence[str]) -> dict[str, Timestamp]:
        moment = await retried(self._moment)
        return dict.fromkeys(keys, moment)

    async def _moment(self) -> Timestamp:
        """Return the operation time of one majority write."""
        answer = await self._database.command(_UPDATE)
        for error in (*answer.get("writeErrors", ()), answer.get("writeConcernError")):
            if error is not None:
                raise OperationFailure(error["errmsg"], error["code"])
        moment: Timestamp = answer["operationTime"]
        return moment

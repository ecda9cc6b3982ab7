"""Leases in MongoDB, by the server's clock alone."""

from typing import Any

from pymongo import ReturnDocument

from adapters.mongo.client import Database, Document
from adapters.mongo.errors import retried
from adapters.mongo.moments import from_now
from core.coordination.ports import Holder, Lease

LEASES = "leases"


class MongoLeases:
    """The leases (see core.coordination.ports.Takeover): one document for each name.

    The document of a released lease stays, since its token must never be given out again.
    """

    def __init__(self, database: Database) -> None:
        self._leases = database[LEASES]

    async def acquire(self, name: str, holder: str, seconds: float) -> Lease | None:
        """Take the lease if it is free, has run out or is the holder's own; None if another holds it."""
        free = {"$lte": [{"$ifNull": ["$until", "$$NOW"]}, "$$NOW"]}
        lease = await self._take(name, holder, seconds, free)
        return lease if lease.holder == holder else None

    async def take_over(self, name: str, holder: str, seconds: float) -> Lease:
        """Take the lease from whichever holder."""
        return await self._take(name, holder, seconds, {"$literal": True})

    async def renew(self, lease: Lease, seconds: float) -> bool:
        """Extend the lease; False: it was lost."""
        change = [{"$set": {"until": from_now(seconds)}}]
        result = await retried(lambda: self._leases.update_one(_held(lease), change))
        return bool(result.matched_count)

    async def release(self, lease: Lease) -> None:
        """Release the lease, so that another process need not wait until it runs out."""
        change = [{"$set": {"until": "$$NOW", "holder": None}}]
        await retried(lambda: self._leases.update_one(_held(lease), change))

    async def announce(self, lease: Lease, address: str) -> None:
        """Record the address at which the holder can be reached."""
        change = {"$set": {"address": {"token": lease.token, "at": address}}}
        await retried(lambda: self._leases.update_one(_held(lease), change))

    async def holder(self, name: str) -> Holder | None:
        """Return the holder and its address."""
        held = {"$and": [{"$gt": ["$until", "$$NOW"]}, {"$eq": ["$address.token", "$token"]}]}
        found = await retried(lambda: self._leases.find_one({"_id": name, "$expr": held}))
        return None if found is None else Holder(found["holder"], found["address"]["at"])

    async def _take(self, name: str, holder: str, seconds: float, allowed: Document) -> Lease:
        """Take the lease if `holder` has it or `allowed` holds; return it as it stands, of any holder."""
        is_own = {"$eq": ["$holder", {"$literal": holder}]}
        next_token = {"$add": [{"$ifNull": ["$token", 0]}, 1]}

        def choose(if_own: Any, if_allowed: Any, otherwise: str) -> Document:
            return {"$cond": [is_own, if_own, {"$cond": [allowed, if_allowed, otherwise]}]}

        until = from_now(seconds)
        change = {
            "holder": choose("$holder", {"$literal": holder}, "$holder"),
            "token": choose("$token", next_token, "$token"),
            "until": choose(until, until, "$until"),
        }
        document = await retried(
            lambda: self._leases.find_one_and_update(
                {"_id": name}, [{"$set": change}], upsert=True, return_document=ReturnDocument.AFTER
            )
        )
        return Lease(name, document["holder"], int(document["token"]))


def _held(lease: Lease) -> Document:
    return {"_id": lease.name, "holder": lease.holder, "token": lease.token}

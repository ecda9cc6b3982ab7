"""Leases in MongoDB, judged by the server's clock alone."""

from typing import Any

from pymongo import ReturnDocument

from adapters.mongo.client import Database, Document
from adapters.mongo.errors import retried
from core.coordination.ports import Lease

LEASES = "leases"


class MongoLeases:
    """The leases (see core.coordination.ports.Takeover): one document for each name.

    Documents stay when a lease is let go, since its token must never be given out again.
    """

    def __init__(self, database: Database) -> None:
        self._leases = database[LEASES]

    async def acquire(self, name: str, holder: str, seconds: float) -> Lease | None:
        """Take the lease if it is free, has run out or is the holder's own; None if another holds it."""
        free = {"$lte": [{"$ifNull": ["$until", "$$NOW"]}, "$$NOW"]}
        lease = await self._take(name, holder, seconds, free)
        return lease if lease.holder == holder else None

    async def take_over(self, name: str, holder: str, seconds: float) -> Lease:
        """Take the lease, whoever holds it."""
        return await self._take(name, holder, seconds, {"$literal": True})

    async def renew(self, lease: Lease, seconds: float) -> bool:
        """Hold it longer; False: it was lost."""
        change = [{"$set": {"until": _from_now(seconds)}}]
        result = await retried(lambda: self._leases.update_one(_held(lease), change))
        return bool(result.matched_count)

    async def release(self, lease: Lease) -> None:
        """Let go at once, so that another process need not wait for its end."""
        change = [{"$set": {"until": "$$NOW", "holder": None}}]
        await retried(lambda: self._leases.update_one(_held(lease), change))

    async def _take(self, name: str, holder: str, seconds: float, allowed: Document) -> Lease:
        """Take it where `allowed` holds; return the lease as it stands afterwards, whoever's it is."""
        own = {"$eq": ["$holder", {"$literal": holder}]}
        grown = {"$add": [{"$ifNull": ["$token", 0]}, 1]}

        def choose(if_own: Any, if_allowed: Any, otherwise: str) -> Document:
            return {"$cond": [own, if_own, {"$cond": [allowed, if_allowed, otherwise]}]}

        until = _from_now(seconds)
        change = {
            "holder": choose("$holder", {"$literal": holder}, "$holder"),
            "token": choose("$token", grown, "$token"),
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


def _from_now(seconds: float) -> Document:
    return {"$add": ["$$NOW", round(seconds * 1000)]}

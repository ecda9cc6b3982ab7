"""Revocations in MongoDB: `revocations`; each change rings the doorbell."""

from collections.abc import Sequence
from datetime import datetime

from pymongo import ASCENDING, IndexModel

from adapters.mongo.client import Database, Document
from adapters.mongo.errors import BULK_SECONDS, retried
from adapters.mongo.moments import from_now
from core.access.revocations import Revocation

REVOCATIONS = "revocations"
KEPT_SECONDS = 24 * 60 * 60
"""How long a revocation that need not last is kept, for processes cut off from MongoDB meanwhile."""

INDEXES = [
    IndexModel([("at", ASCENDING)], name="at"),
    IndexModel([("expires_at", ASCENDING)], name="expires_at", expireAfterSeconds=0),
    IndexModel([("tenant", ASCENDING), ("subject", ASCENDING)], name="tenant_subject"),
]


class MongoRevocations:
    """The revocations (see core.access.ports.RevocationLog), timed by the server's clock.

    A lasting revocation has no `expires_at`: nobody knows how long tokens live. A subject has at most one.
    """

    def __init__(self, database: Database) -> None:
        self._rows = database[REVOCATIONS]

    async def create(self) -> None:
        """Make sure the indexes exist. Raises Unavailable."""
        await retried(lambda: self._rows.create_indexes(INDEXES), BULK_SECONDS)

    async def add(self, revocation: Revocation) -> None:
        """Record the revocation; the database's clock sets its `at`."""
        fields: Document = {
            "kind": revocation.kind,
            "tenant": {"$literal": revocation.tenant},
            "subject": {"$literal": revocation.subject},
            "reason": {"$literal": revocation.reason},
            "lasting": {"$literal": revocation.lasting},
            "at": {"$ifNull": ["$at", "$$NOW"]},
        }
        if not revocation.lasting:
            fields["expires_at"] = from_now(KEPT_SECONDS)
        row = {"_id": revocation.id}
        await retried(lambda: self._rows.update_one(row, [{"$set": fields}], upsert=True))
        if revocation.lasting:
            older = {
                "tenant": revocation.tenant,
                "subject": revocation.subject,
                "lasting": True,
                "_id": {"$lt": revocation.id},
            }
            await retried(lambda: self._rows.delete_many(older))

    async def read(self, since: datetime | None) -> Sequence[Revocation]:
        """Return the revocations from `since` on, the earliest first; None: all that are kept."""
        wanted = {} if since is None else {"at": {"$gte": since}}
        found = await retried(lambda: self._rows.find(wanted).sort("at").to_list(None))
        return [_revocation(document) for document in found]


def _revocation(document: Document) -> Revocation:
    names = ("kind", "tenant", "subject", "at", "reason", "lasting")
    return Revocation(id=document["_id"], **{name: document[name] for name in names})

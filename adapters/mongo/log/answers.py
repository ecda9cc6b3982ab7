"""Answers without an event, kept for a day by (tenant, Idempotency-Key)."""

from typing import Any

import msgspec
from pymongo import ASCENDING, IndexModel

from adapters.mongo.client import Database, Document
from adapters.mongo.errors import BULK_SECONDS, retried
from core.log.ports import KeptAnswer

IDEMPOTENCY = "idempotency"
KEPT_SECONDS = 24 * 60 * 60

INDEXES = [IndexModel([("kept_at", ASCENDING)], name="kept_at", expireAfterSeconds=KEPT_SECONDS)]

_decode = msgspec.json.Decoder(dict[str, Any]).decode


class MongoAnswers:
    """The answers (see core.log.ports.Answers); a body is stored as JSON, since its keys may be any text."""

    def __init__(self, database: Database) -> None:
        self._answers = database[IDEMPOTENCY]

    async def create(self) -> None:
        """Make sure that they end after a day. Raises Unavailable."""
        await retried(lambda: self._answers.create_indexes(INDEXES), BULK_SECONDS)

    async def find(self, tenant: str, command_id: str) -> KeptAnswer | None:
        """Return the first answer kept under the key."""
        found = await retried(lambda: self._answers.find_one(_key(tenant, command_id)))
        return None if found is None else KeptAnswer(found["command_hash"], _decode(found["body"]))

    async def keep(self, tenant: str, command_id: str, answer: KeptAnswer) -> None:
        """Keep the answer, unless the key has one."""
        kept = {
            "command_hash": {"$ifNull": ["$command_hash", {"$literal": answer.command_hash}]},
            "body": {"$ifNull": ["$body", {"$literal": msgspec.json.encode(answer.body)}]},
            "kept_at": {"$ifNull": ["$kept_at", "$$NOW"]},
        }
        key = _key(tenant, command_id)
        await retried(lambda: self._answers.update_one(key, [{"$set": kept}], upsert=True))


def _key(tenant: str, command_id: str) -> Document:
    return {"_id": {"tenant": tenant, "command_id": command_id}}

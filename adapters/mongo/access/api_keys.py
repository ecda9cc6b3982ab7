"""API keys in MongoDB: `api_keys`, one document for each valid key."""

from collections.abc import Sequence
from typing import Any

import msgspec
from pymongo import ASCENDING, IndexModel

from adapters.mongo.client import Database, Document
from adapters.mongo.errors import BULK_SECONDS, retried
from adapters.mongo.log.batched_reads import BatchedReads
from core.access.ports import API_KEYS, TOO_MANY_API_KEYS, ApiKey
from core.errors import Refused

KEYS = "api_keys"

INDEXES = [IndexModel([("tenant", ASCENDING), ("_id", ASCENDING)], name="tenant_id")]


class MongoApiKeys:
    """The API keys (see core.access.ports.ApiKeys). Ids grow with time: their order is that of creation."""

    def __init__(self, database: Database) -> None:
        self._keys = database[KEYS]
        # Anybody may make up keys: however many they are, few commands look for them.
        self._found = BatchedReads(self._find)

    async def create(self) -> None:
        """Make sure the index exists. Raises Unavailable."""
        await retried(lambda: self._keys.create_indexes(INDEXES), BULK_SECONDS)

    async def add(self, key: ApiKey) -> None:
        """Store a new key. Raises Refused: the tenant has too many."""
        of_tenant = {"tenant": key.tenant}
        if await retried(lambda: self._keys.count_documents(of_tenant, limit=API_KEYS)) >= API_KEYS:
            raise Refused(TOO_MANY_API_KEYS, f"a tenant has at most {API_KEYS} API keys")
        document = _document(key)
        # A replace can be repeated; a repeated insert would collide with itself.
        await retried(lambda: self._keys.replace_one({"_id": key.id}, document, upsert=True))

    async def find(self, key_id: str) -> ApiKey | None:
        """Return the key, of any tenant; None if there is none (any more)."""
        found = await self._found.get(key_id)
        return None if found is None else _key(found)

    async def of_tenant(self, tenant: str) -> Sequence[ApiKey]:
        """Return all keys of a tenant, the oldest first."""
        found = await retried(
            lambda: self._keys.find({"tenant": tenant}).sort("_id").limit(API_KEYS).to_list(None)
        )
        return [_key(document) for document in found]

    async def remove(self, tenant: str, key_id: str) -> None:
        """Remove a key, if it is there."""
        await retried(lambda: self._keys.delete_one({"_id": key_id, "tenant": tenant}))

    async def _find(self, ids: Sequence[str]) -> dict[str, Document]:
        wanted = {"_id": {"$in": list(ids)}}
        found = await retried(lambda: self._keys.find(wanted).to_list(None))
        return {document["_id"]: document for document in found}


def _document(key: ApiKey) -> Document:
    fields: dict[str, Any] = msgspec.structs.asdict(key)
    return {"_id": fields.pop("id"), **fields, "roles": sorted(key.roles)}


def _key(document: Document) -> ApiKey:
    fields = {name: value for name, value in document.items() if name != "_id"}
    return ApiKey(id=document["_id"], **{**fields, "roles": frozenset(document["roles"])})

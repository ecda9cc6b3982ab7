"""The key by which the processes of one log know each other."""

import secrets

from bson.binary import Binary

from adapters.mongo.client import Database
from adapters.mongo.errors import retried
from core.errors import Unavailable

KEY_BYTES = 32

_KEY = "peers"


class MongoPeerKey:
    """The key in `meta`: made once, by whichever process comes first."""

    def __init__(self, database: Database) -> None:
        self._meta = database["meta"]

    async def read(self) -> bytes:
        """Return the key. Raises Unavailable."""
        fresh = {"$setOnInsert": {"key": Binary(secrets.token_bytes(KEY_BYTES))}}
        found = await retried(lambda: self._meta.find_one({"_id": _KEY}))
        if found is None:
            await retried(lambda: self._meta.update_one({"_id": _KEY}, fresh, upsert=True))
            found = await retried(lambda: self._meta.find_one({"_id": _KEY}))
        if found is None:
            raise Unavailable("the key of the log's processes cannot be read yet")
        return bytes(found["key"])

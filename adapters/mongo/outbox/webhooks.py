"""The webhooks of all tenants, in `webhooks`."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from bson import Int64
from pymongo import ASCENDING, IndexModel, ReturnDocument
from pymongo.errors import DuplicateKeyError

from adapters.mongo.client import Database, Document
from adapters.mongo.errors import BULK_SECONDS, retried
from core.errors import Unavailable
from core.lists.filter import Filter
from core.outbox.webhook import Webhook, same_definition

WEBHOOKS = "webhooks"
LISTED = 10_000
"""The most webhooks that are read: far more than one process can serve."""

INDEXES = [IndexModel([("tenant", ASCENDING), ("_id", ASCENDING)], name="tenant_id")]

_BY_ID = [("_id", ASCENDING)]
_filter = msgspec.json.Decoder(Filter).decode


class MongoWebhooks:
    """The webhooks (see core.outbox.ports); a filter is stored as JSON: its labels are any text."""

    def __init__(self, database: Database) -> None:
        self._webhooks = database[WEBHOOKS]

    async def create(self) -> None:
        """Make sure the indexes exist. Raises Unavailable."""
        await retried(lambda: self._webhooks.create_indexes(INDEXES), BULK_SECONDS)

    async def all(self) -> Sequence[Webhook]:
        """Return every webhook, in order of id."""
        return await self._found({})

    async def of_tenant(self, tenant: str) -> Sequence[Webhook]:
        """Return a tenant's webhooks, in order of id."""
        return await self._found({"tenant": tenant})

    async def get(self, tenant: str, webhook_id: str) -> Webhook | None:
        """Return one; None also for another tenant's."""
        found = await retried(lambda: self._webhooks.find_one({"_id": webhook_id, "tenant": tenant}))
        return None if found is None else _webhook(found)

    async def add(self, webhook: Webhook) -> bool:
        """Add one; False, and nothing changed: there is one with its id."""
        fields = msgspec.structs.asdict(webhook)
        document = {"_id": fields.pop("id"), **_stored(fields)}
        if await retried(lambda: self._insert(document)):
            return True
        # It may be this one, whose answer was lost.
        there = await self.get(webhook.tenant, webhook.id)
        return there is not None and same_definition(there, webhook)

    async def change(self, tenant: str, webhook_id: str, changes: Mapping[str, Any]) -> Webhook | None:
        """Set these fields, all at once; return the webhook as it is then, None if there is none."""
        found = await retried(
            lambda: self._webhooks.find_one_and_update(
                {"_id": webhook_id, "tenant": tenant},
                {"$set": _stored(changes)},
                return_document=ReturnDocument.AFTER,
            )
        )
        return _webhook(found) if found else None

    async def remove(self, tenant: str, webhook_id: str) -> bool:
        """Remove one; False: there is none."""
        condition = {"_id": webhook_id, "tenant": tenant}
        return bool((await retried(lambda: self._webhooks.delete_one(condition))).deleted_count)

    async def rescan(self, webhook_id: str) -> None:
        """Let the relay look through its rows anew."""
        change = {"$inc": {"rescans": 1}}
        await retried(lambda: self._webhooks.update_one({"_id": webhook_id}, change))

    async def rewind(self, position: int) -> None:
        """Let no webhook be routed further than the position: the log behind it is another one."""
        condition, change = {"after": {"$gt": position}}, {"$set": {"after": Int64(position)}}
        await retried(lambda: self._webhooks.update_many(condition, change))

    async def _insert(self, document: Document) -> bool:
        try:
            await self._webhooks.insert_one(document)
        except DuplicateKeyError:
            return False
        return True

    async def _found(self, condition: Document) -> Sequence[Webhook]:
        found = await retried(lambda: self._webhooks.find(condition, sort=_BY_ID, limit=LISTED).to_list())
        return [_webhook(document) for document in found]


def _stored(fields: Mapping[str, Any]) -> Document:
    stored = dict(fields)
    if "filter" in stored:
        stored["filter"] = msgspec.json.encode(stored["filter"]).decode()
    if "secrets" in stored:
        stored["secrets"] = list(stored["secrets"])
    if "after" in stored:
        stored["after"] = Int64(stored["after"])
    return stored


def _webhook(document: Document) -> Webhook:
    """Return a webhook.

    Raises:
        Unavailable: a newer version wrote it; to pass it over would lose its events.
    """
    fields = dict(document)
    try:
        fields["id"] = fields.pop("_id")
        fields["after"] = int(fields["after"])
        fields["filter"] = _filter(fields["filter"])
        return msgspec.convert(fields, Webhook)
    except (KeyError, TypeError, ValueError) as error:
        raise Unavailable(
            f"webhook {document['_id']} is not one that this version can read: {error}"
        ) from error

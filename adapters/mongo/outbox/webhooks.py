"""The webhooks of all tenants, in `webhooks`."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
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
ASKED_AT_ONCE = 1_000
"""How many ids one query asks for."""

INDEXES = [IndexModel([("tenant", ASCENDING), ("_id", ASCENDING)], name="tenant_id")]

_BY_ID = [("_id", ASCENDING)]
_filter = msgspec.json.Decoder(Filter).decode


class MongoWebhooks:
    """The webhooks (see core.outbox.ports); a filter is stored as JSON: its labels may be any text."""

    def __init__(self, database: Database) -> None:
        self._webhooks = database[WEBHOOKS]

    async def create(self) -> None:
        """Make sure the indexes exist. Raises Unavailable."""
        await retried(lambda: self._webhooks.create_indexes(INDEXES), BULK_SECONDS)

    async def all(self) -> Sequence[Webhook]:
        """Return every webhook, in order of id."""
        return await self._found({})

    async def stored(self, webhook_ids: Iterable[str]) -> frozenset[str]:
        """Return those of the ids that a webhook has."""
        wanted, found = sorted(webhook_ids), set[str]()
        for start in range(0, len(wanted), ASKED_AT_ONCE):
            condition = {"_id": {"$in": wanted[start : start + ASKED_AT_ONCE]}}
            page = await retried(partial(self._ids, condition))
            found.update(page)
        return frozenset(found)

    async def of_tenant(self, tenant: str) -> Sequence[Webhook]:
        """Return a tenant's webhooks, in order of id."""
        return await self._found({"tenant": tenant})

    async def get(self, tenant: str, webhook_id: str) -> Webhook | None:
        """Return a webhook; None also for another tenant's."""
        found = await retried(lambda: self._webhooks.find_one({"_id": webhook_id, "tenant": tenant}))
        return None if found is None else _webhook(found)

    async def add(self, webhook: Webhook) -> bool:
        """Add a webhook; False, and nothing changed: a different one has its id."""
        fields = msgspec.structs.asdict(webhook)
        document = {"_id": fields.pop("id"), **_stored(fields)}
        if await retried(lambda: self._insert(document)):
            return True
        # The stored webhook may be this one, if the answer to an earlier try was lost.
        stored = await self.get(webhook.tenant, webhook.id)
        return stored is not None and same_definition(stored, webhook)

    async def change(self, tenant: str, webhook_id: str, changes: Mapping[str, Any]) -> Webhook | None:
        """Set these fields at once; return the changed webhook, None if there is none."""
        found = await retried(
            lambda: self._webhooks.find_one_and_update(
                {"_id": webhook_id, "tenant": tenant},
                {"$set": _stored(changes)},
                return_document=ReturnDocument.AFTER,
            )
        )
        return _webhook(found) if found else None

    async def remove(self, tenant: str, webhook_id: str) -> bool:
        """Remove a webhook; False: there is none."""
        condition = {"_id": webhook_id, "tenant": tenant}
        return bool((await retried(lambda: self._webhooks.delete_one(condition))).deleted_count)

    async def rescan(self, webhook_id: str) -> None:
        """Have the relay scan the webhook's rows again."""
        change = {"$inc": {"rescans": 1}}
        await retried(lambda: self._webhooks.update_one({"_id": webhook_id}, change))

    async def take_over(self, since: int, by: int) -> None:
        """Have a router cover each webhook that has joined, but for those that a late one let join."""
        # A document of an earlier version has no `joined_by`.
        covered = {"$or": [{"joined_by": {"$gte": since}}, {"joined_by": {"$in": [0, None]}}]}
        change = {"$max": {"joined_by": Int64(by)}}
        await retried(lambda: self._webhooks.update_many({"joined": True, **covered}, change), BULK_SECONDS)

    async def rewind(self, position: int) -> None:
        """Set back to the position every webhook routed further: the log after it has changed."""
        condition, change = {"after": {"$gt": position}}, {"$set": {"after": Int64(position)}}
        await retried(lambda: self._webhooks.update_many(condition, change))

    async def _insert(self, document: Document) -> bool:
        try:
            await self._webhooks.insert_one(document)
        except DuplicateKeyError:
            return False
        return True

    async def _ids(self, condition: Document) -> list[str]:
        return [each["_id"] for each in await self._webhooks.find(condition, {"_id": 1}).to_list()]

    async def _found(self, condition: Document) -> Sequence[Webhook]:
        # Without a limit: a webhook that is not in the list would be routed for and sent to no more.
        found = await retried(lambda: self._webhooks.find(condition, sort=_BY_ID).to_list(), BULK_SECONDS)
        return [_webhook(document) for document in found]


def _stored(fields: Mapping[str, Any]) -> Document:
    stored = dict(fields)
    if "filter" in stored:
        stored["filter"] = msgspec.json.encode(stored["filter"]).decode()
    if "secrets" in stored:
        stored["secrets"] = list(stored["secrets"])
    for name in ("after", "joined_by"):
        if name in stored:
            stored[name] = Int64(stored[name])
    return stored


def _webhook(document: Document) -> Webhook:
    """Return a webhook.

    Raises:
        Unavailable: a newer version wrote it; skipping it would lose its events.
    """
    fields = dict(document)
    try:
        fields["id"] = fields.pop("_id")
        fields["after"] = int(fields["after"])
        fields["joined_by"] = int(fields.get("joined_by", 0))
        fields["filter"] = _filter(fields["filter"])
        return msgspec.convert(fields, Webhook)
    except (KeyError, TypeError, ValueError) as error:
        raise Unavailable(f"this version cannot read the webhook {document['_id']}: {error}") from error

"""Rebuilds the alarm list in a shadow collection, and swaps it in by rename."""

from collections.abc import Sequence
from uuid import uuid4

import bson
from bson import Int64
from bson.raw_bson import RawBSONDocument
from pymongo.errors import BulkWriteError, DuplicateKeyError, OperationFailure

from adapters.mongo.alarms.alarm_list import ALARMS, INDEXES, MongoAlarmList
from adapters.mongo.alarms.list_queries import row_document
from adapters.mongo.client import RAW, WRITE_MS, Database, Document
from adapters.mongo.coordination.checkpoints import CHECKPOINTS, checkpoint_document
from adapters.mongo.errors import BULK_SECONDS, duplicates, retried
from core.alarm.alarm import Alarm
from core.coordination.ports import Checkpoint, Lease
from core.errors import Unavailable
from core.lists.ports import Shadow

SHADOWS = f"{ALARMS}_shadow_"
"""How the names of shadow collections begin."""

BEGINNINGS = 5
"""How often a rebuild tries to begin while other rebuilds are swapped in."""

INDEX_SECONDS = 900.0
"""How long the shadow's indexes may take; millions of rows take minutes."""

_NAMESPACE_NOT_FOUND = 26
_MAJORITY = {"w": "majority", "j": True, "wtimeout": WRITE_MS}


class MongoAlarmRebuild:
    """The rebuild of `alarms` (see core.lists.ports.AlarmRebuild).

    Shadow names are never used twice, so a rename that arrives late finds nothing to rename.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._checkpoints = database[CHECKPOINTS]

    async def begin(self) -> Shadow:
        """Return an empty shadow; no earlier shadow can be swapped in any more."""
        name = f"{SHADOWS}{uuid4().hex}"
        for _ in range(BEGINNINGS):
            await self.settle()
            # List the old shadows before registering the new one; drop them when none can be swapped in.
            old = await retried(self._shadow_names)
            if await retried(lambda: self._register(name)):
                break
        else:
            raise Unavailable(f"{BEGINNINGS} other rebuilds were swapped in meanwhile")
        for shadow in old:
            await self._drop(shadow)
        await retried(lambda: self._create(name))
        return Shadow(name, MongoAlarmList(self._database, name))

    async def fill(self, shadow: Shadow, rows: Sequence[Alarm]) -> None:
        """Add rows to a shadow that has none of these alarms."""
        # Encode each at once: a thousand rows as dictionaries would not stay in the processor's cache.
        documents = [RawBSONDocument(bson.encode(row_document(alarm))) for alarm in rows]
        await retried(lambda: self._insert(shadow.name, documents), BULK_SECONDS)

    async def finish(self, shadow: Shadow) -> None:
        """Index the shadow: all rows at once cost a fraction of row by row."""
        # A build that outlasts the driver's timeout goes on, and the next try waits for it.
        await retried(lambda: self._database[shadow.name].create_indexes(INDEXES), INDEX_SECONDS)

    async def swap(self, shadow: Shadow, lease: Lease, to: Checkpoint) -> bool:
        """Replace the list by the shadow and set the checkpoint to `to`, of the next generation."""
        decided = checkpoint_document(to)
        condition = {
            "_id": ALARMS,
            "generation": to.generation - 1,
            "token": {"$lte": lease.token},
            "shadow.name": shadow.name,
            # Equal already: this write was sent before.
            "$or": [{"shadow.to": {"$exists": False}}, {"shadow.to": decided}],
        }
        change = {"$set": {"shadow.to": decided, "token": Int64(lease.token)}}
        result = await retried(lambda: self._checkpoints.update_one(condition, change))
        if result.matched_count:
            await self.settle()
        return bool(result.matched_count)

    async def settle(self) -> None:
        """Carry out the decided swap, if there is one."""
        document = await retried(
            lambda: self._checkpoints.find_one({"_id": ALARMS, "shadow.to": {"$exists": True}})
        )
        if document is None:
            return
        shadow = document["shadow"]
        await retried(lambda: self._put_in_place(shadow["name"]), BULK_SECONDS)
        condition = {"_id": ALARMS, "shadow": shadow}
        change = {"$set": shadow["to"], "$unset": {"shadow": ""}}
        await retried(lambda: self._checkpoints.update_one(condition, change))

    async def _create(self, name: str) -> None:
        # A missing shadow could not be renamed, and the old list would stay.
        if name not in await self._shadow_names():
            await self._database.create_collection(name)

    async def _insert(self, name: str, documents: Sequence[RawBSONDocument]) -> None:
        try:
            await self._database.get_collection(name, codec_options=RAW).insert_many(documents, ordered=False)
        except BulkWriteError as error:
            # An earlier try inserted them.
            duplicates(error)

    async def _register(self, name: str) -> bool:
        """Make this the only shadow that can be swapped in, unless the swap of another is decided."""
        condition: Document = {"_id": ALARMS, "shadow.to": {"$exists": False}}
        first = {"position": Int64(0), "event_id": "", "generation": Int64(0), "token": Int64(0)}
        change = {"$set": {"shadow": {"name": name}}, "$setOnInsert": first}
        try:
            await self._checkpoints.update_one(condition, change, upsert=True)
        except DuplicateKeyError:
            return False
        return True

    async def _put_in_place(self, name: str) -> None:
        source, target = f"{self._database.name}.{name}", f"{self._database.name}.{ALARMS}"
        command = {"renameCollection": source, "to": target, "dropTarget": True, "writeConcern": _MAJORITY}
        try:
            await self._database.client.admin.command(command)
        except OperationFailure as error:
            if error.code != _NAMESPACE_NOT_FOUND:
                raise

    async def _shadow_names(self) -> list[str]:
        names = await self._database.list_collection_names()
        return [name for name in names if name.startswith(SHADOWS)]

    async def _drop(self, name: str) -> None:
        await retried(lambda: self._database.drop_collection(name), BULK_SECONDS)

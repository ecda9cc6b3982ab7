"""The checkpoints of projections, in `checkpoints`; every write is conditional."""

from bson import Int64
from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from adapters.mongo.client import MAJORITY_WRITE, Database, Document
from adapters.mongo.errors import retried
from adapters.mongo.wire.commands import Commands, DriverCommands
from adapters.mongo.wire.rows import collided
from core.coordination.ports import NO_CHECKPOINT, Checkpoint, Lease

CHECKPOINTS = "checkpoints"


class MongoCheckpoints:
    """The checkpoints (see core.coordination.ports.Checkpoints).

    A document holds the checkpoint and the highest lease token that has written it. During a rebuild it
    also holds `shadow`: its collection's name and, once its swap is decided, the checkpoint `to` that the
    swap sets.
    """

    def __init__(self, database: Database, commands: Commands | None = None) -> None:
        self._checkpoints = database[CHECKPOINTS]
        self._commands = commands or DriverCommands(database)

    async def load(self, projection: str) -> Checkpoint:
        """Return the checkpoint, NO_CHECKPOINT if there is none."""
        return checkpoint_of(await retried(lambda: self._checkpoints.find_one({"_id": projection})))

    async def token(self, projection: str) -> int:
        """Return the highest lease token that has written the checkpoint, 0 if there is none."""
        found = await retried(lambda: self._checkpoints.find_one({"_id": projection}, {"token": 1}))
        return 0 if found is None else int(found.get("token", 0))

    async def advance(self, projection: str, lease: Lease, to: Checkpoint) -> bool:
        """Move forward to `to`; False, and nothing changed: not allowed."""
        condition = {
            "_id": projection,
            "generation": to.generation,
            "token": {"$lte": lease.token},
            "position": {"$lte": to.position},
            "shadow.to": {"$exists": False},
        }
        change = {"$set": {**checkpoint_document(to), "token": Int64(lease.token)}}
        return await retried(lambda: self._update(condition, change, upsert=to.generation == 0))

    async def fence(self, projection: str, lease: Lease) -> Checkpoint | None:
        """Shut out earlier holders of the lease and return the checkpoint; None: not allowed."""
        condition = {"_id": projection, "token": {"$lte": lease.token}, "shadow.to": {"$exists": False}}
        change = {"$set": {"token": Int64(lease.token)}, "$setOnInsert": checkpoint_document(NO_CHECKPOINT)}

        async def fenced() -> Checkpoint | None:
            try:
                found = await self._checkpoints.find_one_and_update(
                    condition, change, upsert=True, return_document=ReturnDocument.AFTER
                )
            except DuplicateKeyError:
                return None
            return checkpoint_of(found)

        return await retried(fenced)

    async def set_back(self, projection: str, lease: Lease, to: Checkpoint) -> bool:
        """Set the checkpoint to `to`, of the next generation; False, and nothing changed: not allowed."""
        condition = {
            "_id": projection,
            "generation": to.generation - 1,
            "token": {"$lte": lease.token},
            "shadow.to": {"$exists": False},
        }
        change = {"$set": {**checkpoint_document(to), "token": Int64(lease.token)}}
        return await retried(lambda: self._update(condition, change, upsert=False))

    async def _update(self, condition: Document, change: Document, *, upsert: bool) -> bool:
        command = {
            "update": CHECKPOINTS,
            "updates": [{"q": condition, "u": change, "upsert": upsert}],
            "writeConcern": MAJORITY_WRITE.document,
        }
        answer = await self._commands.run(command)
        # A collision: the document exists, and the condition does not hold for it.
        return not collided(answer) and answer["n"] == 1


def checkpoint_of(document: Document | None) -> Checkpoint:
    """Return the checkpoint that a document of `checkpoints` holds."""
    if document is None:
        return NO_CHECKPOINT
    return Checkpoint(int(document["position"]), document["event_id"], int(document["generation"]))


def checkpoint_document(checkpoint: Checkpoint) -> Document:
    """Return the fields of a checkpoint."""
    return {
        "position": Int64(checkpoint.position),
        "event_id": checkpoint.event_id,
        "generation": Int64(checkpoint.generation),
    }

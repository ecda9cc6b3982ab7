"""Commands on the `events` collection for the append protocol and the log's reads."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC
from typing import Any, Literal

import bson
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.errors import PyMongoError

from adapters.mongo.client import CODEC, RAW, WRITE_MS, Database
from adapters.mongo.codec import event_document, event_of, newest_of, recorded_of
from adapters.mongo.errors import (
    BULK_SECONDS,
    DUPLICATE_KEY,
    READ_SECONDS,
    TRANSIENT_CODES,
    retried,
    unavailable,
    write_failure,
)
from adapters.mongo.log.confirmation import Confirmation
from adapters.mongo.log.undecoded import Undecoded
from adapters.mongo.wire.commands import Commands, DriverCommands
from core.alarm.events import Event, Recorded, Snapshot
from core.errors import InvalidInput
from core.log.ports import START, Duplicate, Page, Rejected, Result, Stamp, Unknown, Written

EVENTS = "events"
BY_TIME = "at_position"
NEWEST_OF_STREAMS = "tenant_stream_position"
NEWEST_BY_STREAM = "stream_revision"

INDEXES = [
    IndexModel([("stream", ASCENDING), ("revision", ASCENDING)], name=NEWEST_BY_STREAM, unique=True),
    IndexModel([("event_id", ASCENDING)], name="event_id", unique=True),
    IndexModel(
        [("tenant", ASCENDING), ("command_id", ASCENDING)],
        name="tenant_command_id",
        unique=True,
        partialFilterExpression={"command_id": {"$exists": True}},
    ),
    IndexModel([("tenant", ASCENDING), ("_id", ASCENDING)], name="tenant_position"),
    IndexModel([("at", ASCENDING), ("_id", ASCENDING)], name=BY_TIME),
    # For scans that leap from stream to stream, to the newest event of each up to a position.
    IndexModel([("tenant", ASCENDING), ("stream", ASCENDING), ("_id", DESCENDING)], name=NEWEST_OF_STREAMS),
]

PAGE_STREAMS = 500

MAJORITY: Mapping[str, Any] = {"level": "majority"}

_STAMP = {"event_id": 1, "at": 1}
_SNAPSHOT = {"stream": 1, "revision": 1, "type": 1, "v": 1, "alarm": 1}
_UNRECORDED = {"alarm": 0, "command_id": 0, "command_hash": 0, "trace": 0}
_KEYS: dict[str, Literal["position", "revision", "event_id", "command"]] = {
    "_id": "position",
    "revision": "revision",
    "event_id": "event_id",
    "command_id": "command",
}


class EventStore:
    """Raw, majority-committed access to `events`.

    It sends the `insert` command itself: the answer shows write errors and the write concern error side by
    side, and the driver never repeats the command on its own.
    """

    def __init__(self, database: Database, commands: Commands | None = None) -> None:
        self._database = database
        self._commands = commands or DriverCommands(database)
        self._confirmation = Confirmation(database)

    async def create_indexes(self) -> None:
        """Make sure the indexes exist. Raises Unavailable."""
        await retried(lambda: self._database[EVENTS].create_indexes(INDEXES), BULK_SECONDS)

    def encode(self, event: Event) -> tuple[RawBSONDocument, int]:
        """Return the event's document and its size in bytes."""
        try:
            raw = bson.encode(event_document(event))
        except Exception as error:
            # Whatever it is, this event alone is the cause, and the batch must go on without it.
            raise InvalidInput(f"the event cannot be stored: {error}") from error
        return RawBSONDocument(raw), len(raw)

    async def insert(self, documents: Sequence[RawBSONDocument]) -> Result:
        """Insert in order, up to the first that fails, in one command, majority and journaled."""
        command = {
            "insert": EVENTS,
            "ordered": True,
            "writeConcern": {"w": "majority", "j": True, "wtimeout": WRITE_MS},
        }
        try:
            raw = [document.raw for document in documents]
            answer = await self._commands.run(command, documents=("documents", raw))
        except PyMongoError as error:
            return write_failure(error)
        return _result(answer)

    async def stamps(self, first: int, limit: int) -> Sequence[Stamp]:
        """Return at most `limit` stamps of positions >= first, in order."""
        found = await self.documents({"_id": {"$gte": first}}, limit, projection=_STAMP)
        return [_stamp(document) for document in found]

    async def stamp_of(self, stream: str, revision: int) -> Stamp | None:
        """Return the stamp of the stream's event of this revision."""
        condition = {"stream": stream, "revision": revision}
        found = await self.documents(condition, 1, projection=_STAMP, hint=NEWEST_BY_STREAM)
        return _stamp(found[0]) if found else None

    async def tail(self) -> Stamp:
        """Return the newest stamp, START if there is none."""
        found = await self.documents({}, 1, direction=DESCENDING, projection=_STAMP)
        return _stamp(found[0]) if found else START

    async def by_command(self, tenant: str, command_id: str) -> Event | None:
        """Return the event with this Idempotency-Key."""
        return await self.find_event({"tenant": tenant, "command_id": command_id})

    async def confirmed_by_command(self, tenant: str, command_id: str) -> Event | None:
        """Return the same as `by_command`, whichever node is primary."""
        condition = {"tenant": tenant, "command_id": command_id}
        return await self.find_event(condition, readConcern=await self._confirmed())

    async def find(self, event: Event, key: Literal["event_id", "command"]) -> Event | None:
        """Return the event that has the id, or the Idempotency-Key, of this one."""
        if key == "command":
            return await self.by_command(event.tenant, event.command_id or "")
        return await self.find_event({"event_id": event.event_id})

    async def find_event(self, condition: Mapping[str, Any], **options: Any) -> Event | None:
        """Return the one event for which the condition holds."""
        found = await self.documents(condition, 1, **options)
        return event_of(found[0]) if found else None

    async def read(self, after: int, limit: int) -> Page:
        """Return events of positions > after and the operation time they were read at."""
        answer = await self._find({"_id": {"$gt": after}}, limit)
        events = [event_of(document) for document in answer["cursor"]["firstBatch"]]
        return Page(events, answer.get("operationTime"))

    async def recorded(self, after: int, limit: int) -> Sequence[Recorded]:
        """Return at most `limit` events of positions > after, without their snapshots, decoded when taken."""
        answer = await self._find({"_id": {"$gt": after}}, limit, codec=RAW, projection=_UNRECORDED)
        return Undecoded(answer["cursor"]["firstBatch"], recorded_of)

    async def newest_of_all(self) -> AsyncGenerator[Sequence[Snapshot], None]:
        """Yield each stream's newest snapshot, in pages."""
        cursor: Any = self._database.get_collection(EVENTS, codec_options=RAW).aggregate(
            [*_newest({}), {"$project": _SNAPSHOT}], hint=NEWEST_BY_STREAM, batchSize=PAGE_STREAMS
        )
        try:
            while found := await asyncio.wait_for(cursor.to_list(PAGE_STREAMS), READ_SECONDS):
                yield [*Undecoded(found, newest_of)]
        except (PyMongoError, TimeoutError) as error:
            raise unavailable(error) from error

    async def documents(
        self,
        condition: Mapping[str, Any],
        limit: int,
        *,
        by: str = "_id",
        direction: int = ASCENDING,
        **options: Any,
    ) -> list[dict[str, Any]]:
        """Return at most `limit` documents, and no more than fit one answer of 16 MiB.

        `options` are those of the find command: `projection`, `hint`, `readConcern`.
        """
        answer = await self._find(condition, limit, by=by, direction=direction, **options)
        found: list[dict[str, Any]] = answer["cursor"]["firstBatch"]
        return found

    async def _find(
        self,
        condition: Mapping[str, Any],
        limit: int,
        *,
        by: str = "_id",
        direction: int = ASCENDING,
        codec: CodecOptions[Any] = CODEC,
        **options: Any,
    ) -> dict[str, Any]:
        command: dict[str, Any] = {
            "find": EVENTS,
            "filter": condition,
            "sort": {by: direction},
            "limit": limit,
            "batchSize": limit,
            "singleBatch": True,
            "readConcern": MAJORITY,
            **options,
        }
        return await self._read(command, codec)

    async def newest(self, streams: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return the document of each stream's newest event, by stream."""
        return await self._newest(streams, MAJORITY)

    async def confirmed(self, streams: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return the same as `newest`, whichever node is primary."""
        return await self._newest(streams, await self._confirmed())

    async def _confirmed(self) -> Mapping[str, Any]:
        """Return the concern of a linearizable read."""
        return await self._confirmation.read_concern()

    async def _newest(self, streams: Sequence[str], concern: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        missing = list(streams)
        while missing:
            answer = await self._read(
                {
                    "aggregate": EVENTS,
                    "pipeline": _newest({"stream": {"$in": missing}}),
                    # One more than there can be: otherwise the server keeps its cursor open.
                    "cursor": {"batchSize": len(missing) + 1},
                    "readConcern": concern,
                }
            )
            cursor = answer["cursor"]
            found |= {document["stream"]: document for document in cursor["firstBatch"]}
            if not cursor["id"]:
                break
            # One answer holds 16 MiB: ask for the rest anew, since a `getMore` could not be repeated.
            await self._kill(cursor["id"])
            missing = [stream for stream in missing if stream not in found]
        return found

    async def _kill(self, cursor: int) -> None:
        with suppress(PyMongoError):
            await self._database.command({"killCursors": EVENTS, "cursors": [cursor]})

    async def _read(self, command: Mapping[str, Any], codec: CodecOptions[Any] = CODEC) -> dict[str, Any]:
        """Run a command that returns events, and repeat it after transient errors."""
        return dict(await retried(lambda: self._commands.run(command, codec)))


def _newest(condition: Mapping[str, Any]) -> list[dict[str, Any]]:
    # Backwards through the unique index, leaping from stream to stream (DISTINCT_SCAN).
    return [
        {"$match": condition},
        {"$sort": {"stream": DESCENDING, "revision": DESCENDING}},
        {"$group": {"_id": "$stream", "newest": {"$first": "$$ROOT"}}},
        {"$replaceRoot": {"newRoot": "$newest"}},
    ]


def _stamp(document: Mapping[str, Any]) -> Stamp:
    return Stamp(int(document["_id"]), document["event_id"], document["at"].replace(tzinfo=UTC))


def _result(answer: Mapping[str, Any]) -> Result:
    # Without a majority the outcome is unknown: the write may be rolled back.
    if "writeConcernError" in answer:
        return Unknown()
    if "writeErrors" not in answer:
        return Written()
    error = answer["writeErrors"][0]
    if error["code"] == DUPLICATE_KEY:
        # The last field of an index tells the indexes apart: (stream, revision), (tenant, command_id), ...
        return Duplicate(error["index"], _KEYS[list(error["keyPattern"])[-1]])
    if error["code"] in TRANSIENT_CODES:
        return Unknown()
    return Rejected(error["index"], error["errmsg"])

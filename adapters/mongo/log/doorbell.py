"""A doorbell by change stream: one for each process, on the whole database."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import bson
from bson import Int64
from bson.raw_bson import RawBSONDocument
from pymongo.errors import PyMongoError

from adapters.mongo.client import RAW, Database
from adapters.mongo.codec import event_of
from adapters.mongo.errors import unavailable
from adapters.mongo.log.store import EVENTS
from adapters.mongo.wire.commands import Commands, DriverCommands, Run
from core.errors import Unavailable
from core.log.ports import Notice

TOPICS = ("checkpoints", "meta", "webhooks", "revocations", "outbox")

BATCH = 1_000
AWAIT_MS = 1_000
"""How long the server holds an answer back while nothing happens."""
SILENCE_SECONDS = 4.0
"""After this long without any answer the stream counts as dead, whatever its socket says."""

# Only events come along: rows of the outbox are large, and nothing here reads them.
_PROJECT = {
    "collection": "$ns.coll",
    "position": {"$cond": [{"$eq": ["$operationType", "insert"]}, "$documentKey._id", "$$REMOVE"]},
    "fullDocument": {"$cond": [{"$eq": ["$ns.coll", EVENTS]}, "$fullDocument", "$$REMOVE"]},
}


class ChangeStreamDoorbell:
    """Rings for every change of the log and of the topics (see core.log.ports.Doorbell).

    It sends `aggregate` and `getMore` itself: one answer brings a whole batch of changes, while iterating the
    driver's change stream costs a hop to a thread for each.
    """

    def __init__(self, database: Database, commands: Commands | None = None) -> None:
        self._commands = commands or DriverCommands(database)

    @asynccontextmanager
    async def listen(self, moment: object, known: Callable[[], int]) -> AsyncIterator[AsyncIterator[Notice]]:
        """Ring for everything committed after the read at `moment`, an operation time."""
        try:
            async with self._commands.session() as run:
                answer = await _answered(run, _aggregate(moment))
                cursor = answer["cursor"]["id"]
                try:
                    yield _notices(run, answer["cursor"], known)
                finally:
                    # The server would keep the cursor, and a pending getMore, for a while longer.
                    await asyncio.shield(self._kill(cursor))
        except PyMongoError as error:
            raise unavailable(error) from error

    async def _kill(self, cursor: Int64) -> None:
        with contextlib.suppress(PyMongoError, TimeoutError):
            async with asyncio.timeout(SILENCE_SECONDS):
                await self._commands.run({"killCursors": "$cmd.aggregate", "cursors": [cursor]})


async def _notices(run: Run, cursor: Mapping[str, Any], known: Callable[[], int]) -> AsyncIterator[Notice]:
    batch = cursor["firstBatch"]
    while True:
        if batch:
            yield _notice(batch, known())
        # An invalidate event (the database was dropped) ends the stream.
        if not cursor["id"]:
            raise Unavailable("the change stream was closed by the server")
        answer = await _answered(run, _get_more(cursor["id"]))
        cursor = answer["cursor"]
        batch = cursor["nextBatch"]


async def _answered(run: Run, command: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        async with asyncio.timeout(SILENCE_SECONDS):
            return await run(command, RAW)
    except TimeoutError:
        raise Unavailable("the change stream went silent") from None
    except PyMongoError as error:
        raise unavailable(error) from error


def _aggregate(moment: object) -> dict[str, Any]:
    stream = {} if moment is None else {"startAtOperationTime": moment}
    pipeline = [
        {"$changeStream": stream},
        {"$match": {"ns.coll": {"$in": [EVENTS, *TOPICS]}}},
        {"$project": _PROJECT},
    ]
    return {
        "aggregate": 1,
        "pipeline": pipeline,
        "cursor": {},
        "readConcern": {"level": "majority"},
    }


def _get_more(cursor: Int64) -> dict[str, Any]:
    return {
        "getMore": Int64(cursor),
        "collection": "$cmd.aggregate",
        "batchSize": BATCH,
        "maxTimeMS": AWAIT_MS,
    }


def _notice(batch: list[RawBSONDocument], known: int) -> Notice:
    events, topics, position = [], set(), 0
    for change in batch:
        collection = change["collection"]
        if collection != EVENTS:
            topics.add(collection)
        elif "position" in change:
            position = int(change["position"])
            if position > known:
                events.append(event_of(bson.decode(change["fullDocument"].raw)))
    return Notice(events, position, frozenset(topics), more=len(batch) >= BATCH)

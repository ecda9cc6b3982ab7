"""The `events` of a standalone mongod, where even a majority read shows what a kill -9 would undo."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument

from adapters.mongo.client import CODEC, Database
from adapters.mongo.errors import retried
from adapters.mongo.log.store import MAJORITY, EventStore
from adapters.mongo.wire.commands import Commands
from core.alarm.events import Snapshot
from core.errors import Unavailable
from core.log.ports import Page, Result, Stamp, Written

JOURNAL = "journal"

READS = 3
"""How often a read is tried while mongod restarts during it."""


class JournaledStore(EventStore):
    """Returns journaled events only.

    A standalone shows a write before it is in the journal, at every read concern. So events beyond the newest
    position known to be journaled are returned only after a journaled write by this process to the same run
    of mongod: the journal is in order, so that write brings everything before it along.
    """

    def __init__(self, database: Database, commands: Commands | None = None) -> None:
        super().__init__(database, commands)
        self._journaled = 0
        # Identifies the run of mongod; None: not asked yet.
        self._mongod: object = None

    def journaled(self, position: int) -> None:
        """Note that everything up to the position was acknowledged as journaled."""
        self._journaled = max(self._journaled, position)

    async def insert(self, documents: Sequence[RawBSONDocument]) -> Result:
        """Insert in order, up to the first that fails, in one command, journaled."""
        result = await super().insert(documents)
        if isinstance(result, Written):
            self.journaled(documents[-1]["_id"])
        return result

    async def tail(self) -> Stamp:
        """Return the newest stamp, START if there is none; journaled."""
        stamp = await super().tail()
        # The position goes back when the log was replaced.
        self._journaled = stamp.position
        return stamp

    async def read(self, after: int, limit: int) -> Page:
        """Return events of positions > after, only up to the known journaled position if that is further."""
        ahead = self._journaled - after
        return await super().read(after, min(limit, ahead) if ahead > 0 else limit)

    async def newest_of_all(self) -> AsyncGenerator[Sequence[Snapshot], None]:
        """Yield each stream's newest snapshot, in pages, each page once it is journaled."""
        # The run that is known may be an earlier one: each page must come from the run that journals it.
        await self._flush(self._mongod)
        mongod = self._mongod
        async with aclosing(super().newest_of_all()) as pages:
            async for page in pages:
                newest = max(snapshot.position for snapshot in page)
                if newest > self._journaled:
                    if not await self._flush(mongod):
                        raise Unavailable("mongod was restarted during the read")
                    self.journaled(newest)
                yield page

    async def _confirmed(self) -> Mapping[str, Any]:
        # Nothing can replace a standalone.
        return MAJORITY

    async def _read(self, command: Mapping[str, Any], codec: CodecOptions[Any] = CODEC) -> dict[str, Any]:
        for _ in range(READS):
            journaled, mongod = self._journaled, self._mongod
            answer = await super()._read(command, codec)
            newest = max((document["_id"] for document in answer["cursor"]["firstBatch"]), default=0)
            if newest <= journaled:
                return answer
            if await self._flush(mongod):
                self.journaled(newest)
                return answer
        raise Unavailable("mongod was restarted during each of the reads")

    async def _flush(self, mongod: object) -> bool:
        """Journal everything that mongod holds; False: mongod may have restarted since the read."""
        journal = self._database[JOURNAL]
        change = {"$currentDate": {"at": True}}
        await retried(lambda: journal.update_one({"_id": "flushed"}, change, upsert=True))
        hello = await retried(lambda: self._database.client.admin.command("hello"))
        self._mongod = hello["topologyVersion"]["processId"]
        return bool(self._mongod == mongod)

"""Writes rows of a read model by commands of bounded size, majority-committed."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import bson
from pymongo.errors import BulkWriteError

from adapters.mongo.client import MAJORITY_WRITE
from adapters.mongo.errors import duplicates
from adapters.mongo.wire.commands import Commands

COMMAND_BYTES = 8 * 1024 * 1024
"""How large a command grows before the next one is begun; MongoDB takes six times as much."""

Fields = Mapping[str, Any]


async def insert_rows(commands: Commands, collection: str, rows: Sequence[Fields]) -> list[int]:
    """Insert the rows, in no order; return the indexes of those whose keys exist already.

    Raises:
        PyMongoError: some may have been written; repeat all.
    """
    return await _write(commands, {"insert": collection}, "documents", rows)


async def update_rows(commands: Commands, collection: str, updates: Sequence[Fields]) -> list[int]:
    """Run the updates, `{q, u, upsert}`, in no order; otherwise as `insert_rows` does."""
    return await _write(commands, {"update": collection}, "updates", updates)


async def _write(commands: Commands, command: Fields, field: str, rows: Sequence[Fields]) -> list[int]:
    whole = {**command, "ordered": False, "writeConcern": MAJORITY_WRITE.document}
    met: list[int] = []
    for first, encoded in _parts(rows):
        answer = await commands.run(whole, documents=(field, encoded))
        met += [first + index for index in collided(answer)]
    return met


def _parts(rows: Sequence[Fields]) -> Iterator[tuple[int, list[bytes]]]:
    """Yield the rows, encoded, in parts of one command each, with the index of each part's first."""
    first, part, size = 0, list[bytes](), 0
    for index, row in enumerate(rows):
        encoded = bson.encode(row)
        if part and size + len(encoded) > COMMAND_BYTES:
            yield first, part
            first, part, size = index, [], 0
        part.append(encoded)
        size += len(encoded)
    if part:
        yield first, part


def collided(answer: Fields) -> Sequence[int]:
    """Return the indexes of writes that met a duplicate key. Raises PyMongoError for any other error."""
    if "writeErrors" not in answer and "writeConcernError" not in answer:
        return ()
    concern = [answer["writeConcernError"]] if "writeConcernError" in answer else []
    details = {"writeErrors": answer.get("writeErrors", []), "writeConcernErrors": concern}
    return duplicates(BulkWriteError(details))

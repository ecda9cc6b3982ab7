"""Checks a MongoDB before a process starts on it; every refusal is one clear line."""

import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal

from pymongo import IndexModel
from pymongo.errors import DuplicateKeyError, OperationFailure

from adapters.mongo.alarms.alarm_list import ALARMS
from adapters.mongo.alarms.alarm_list import INDEXES as ALARM_INDEXES
from adapters.mongo.client import Database, Document, connect
from adapters.mongo.errors import BULK_SECONDS, is_transient, retried
from adapters.mongo.log.journal import JOURNAL
from adapters.mongo.log.log import MongoLog
from adapters.mongo.log.store import EVENTS
from adapters.mongo.log.store import INDEXES as EVENT_INDEXES
from core.errors import StartupRefused, Unavailable

logger = logging.getLogger("tocsin.start")

DoorbellKind = Literal["changestream", "local", "redis"]

OLDEST = (5, 0)
SELECTION_MS = 500
"""Shorter than elsewhere, and tried again as often: a process that is told to end waits for the last one."""

_UNAUTHORIZED = 13
_AUTHENTICATION_FAILED = 18
_ATLAS_ERROR = 8000
# Options that distinguish two indexes of the same key.
_OPTIONS = ("unique", "sparse", "partialFilterExpression", "expireAfterSeconds", "collation")


async def check(uri: str, database: str, wanted: Literal["auto"] | DoorbellKind) -> DoorbellKind:
    """Check the server, the user and the database; return the doorbell to use.

    A wrong index that protects nothing is dropped and created anew.

    Raises:
        StartupRefused: only people can mend what is wrong; the message says what it is.
        Unavailable: MongoDB cannot be reached, or has no primary; it may be back at any time.
    """
    async with _checking(uri, database, "readWrite") as connection:
        kind = await _check_server(connection, wanted)
        await _check_writable(connection)
        await _check_indexes(connection, EVENTS, EVENT_INDEXES)
        await _check_indexes(connection, ALARMS, ALARM_INDEXES)
    return kind


async def check_log(uri: str, database: str, wanted: Literal["auto"] | DoorbellKind) -> DoorbellKind:
    """Check the server, and that the database has a log, without writing; return the doorbell to use.

    Raises:
        StartupRefused: there is no log, or only people can mend what is wrong; the message says what it is.
        Unavailable: MongoDB cannot be reached, or has no primary.
    """
    async with _checking(uri, database, "read") as connection:
        kind = await _check_server(connection, wanted)
        _, identity = await MongoLog(connection).glance()
        if not identity:
            raise StartupRefused(
                f"the database {database} holds no log: name another with --database, or let a server make it"
            )
    return kind


@asynccontextmanager
async def _checking(uri: str, database: str, role: str) -> AsyncIterator[Database]:
    """Yield a connection for checks; `role`: what the user needs, for the message."""
    connection = connect(uri, database, selection_ms=SELECTION_MS)
    try:
        yield connection
    except Unavailable as error:
        raise _reason(error, database, role) from error
    finally:
        connection.client.close()


async def _check_server(connection: Database, wanted: Literal["auto"] | DoorbellKind) -> DoorbellKind:
    hello = await retried(lambda: connection.client.admin.command("hello"))
    build = await retried(lambda: connection.client.admin.command("buildInfo"))
    check_version(build["versionArray"])
    kind = choose_doorbell(hello, wanted)
    await _check_events(connection, hello)
    return kind


def check_version(version: Sequence[int]) -> None:
    """Raise StartupRefused for a server that is too old."""
    if tuple(version[:2]) < OLDEST:
        found, oldest = (".".join(map(str, each)) for each in (version[:3], OLDEST))
        raise StartupRefused(f"MongoDB {found} is too old: Tocsin needs {oldest} or newer")


def choose_doorbell(hello: Mapping[str, Any], wanted: Literal["auto"] | DoorbellKind) -> DoorbellKind:
    """Return the doorbell for a server, given its answer to `hello`. Raises StartupRefused."""
    standalone = "setName" not in hello and hello.get("msg") != "isdbgrid"
    match wanted:
        case "auto":
            return "local" if standalone else "changestream"
        case "changestream" if standalone:
            raise StartupRefused(
                "the feed changestream needs a replica set (one member is enough), and this mongod is a"
                " standalone: choose the feed local (one process) or redis (several)"
            )
        case "local" if not standalone:
            raise StartupRefused(
                "the feed local is for a standalone mongod, and this is a replica set, on which it would not"
                " hear of other processes: choose the feed changestream"
            )
    return wanted


def check_not_sharded(stats: Mapping[str, Any]) -> None:
    """Raise StartupRefused if the answer to `collStats` is that of a sharded collection."""
    if stats.get("sharded"):
        raise StartupRefused(
            f"the collection {EVENTS} is sharded: positions without gaps need all of it on one shard"
        )


async def _check_events(database: Database, hello: Mapping[str, Any]) -> None:
    if hello.get("msg") == "isdbgrid":
        check_not_sharded(await retried(lambda: database.command("collStats", EVENTS)))
    listed = await retried(lambda: database.command("listCollections", filter={"name": EVENTS}))
    for found in listed["cursor"]["firstBatch"]:
        kind = "a capped collection" if found["options"].get("capped") else f"a {found['type']}"
        if kind != "a collection":
            raise StartupRefused(
                f"{EVENTS} is {kind}: the log needs a plain collection, which keeps everything"
            )


async def _check_writable(database: Database) -> None:
    """Try a write: a user's rights are spread over roles and privileges, and a node may be read-only."""
    change = {"$currentDate": {"at": True}}
    await retried(lambda: database[JOURNAL].update_one({"_id": "started"}, change, upsert=True))


async def _check_indexes(database: Database, collection: str, wanted: Sequence[IndexModel]) -> None:
    found = await retried(database[collection].index_information)
    right = {model.document["name"]: _shape(model.document) for model in wanted}
    for name, index in found.items():
        if name != "_id_" and _is_in_the_way(collection, name, _shape(index), right):
            logger.warning("dropping the wrong index %s of %s", name, collection)
            await retried(lambda name=name: database[collection].drop_index(name))  # type: ignore[misc]
    try:
        await retried(lambda: database[collection].create_indexes(list(wanted)), BULK_SECONDS)
    except Unavailable as error:
        if isinstance(error.__cause__, DuplicateKeyError):
            raise StartupRefused(
                f"{collection} holds duplicates of what must be unique, so it is not Tocsin's or others have"
                f" written to it: {_detail(error.__cause__)}"
            ) from error
        raise


def _is_in_the_way(collection: str, name: str, index: Document, right: Mapping[str, Document]) -> bool:
    """Tell whether an index must be dropped. Raises StartupRefused for one that only people may drop."""
    if right.get(name) == index:
        return False
    if "expireAfterSeconds" in index:
        raise StartupRefused(
            f"the index {name} of {collection} deletes documents by their age: drop it first"
        )
    if index.get("unique"):
        raise StartupRefused(
            f"the unique index {name} of {collection} is not one of Tocsin's and may refuse what Tocsin"
            " writes: drop it first"
        )
    return name in right or index in right.values()


def _shape(index: Mapping[str, Any]) -> Document:
    key = index["key"].items() if isinstance(index["key"], Mapping) else index["key"]
    options = {option: index[option] for option in _OPTIONS if index.get(option)}
    return {"key": [(field, int(direction)) for field, direction in key], **options}


def _reason(error: Unavailable, database: str, role: str) -> StartupRefused | Unavailable:
    cause = error.__cause__
    if isinstance(cause, OperationFailure) and not is_transient(cause):
        if cause.code in (_AUTHENTICATION_FAILED, _ATLAS_ERROR):
            return StartupRefused("MongoDB does not accept the user name or the password of the URI")
        if cause.code == _UNAUTHORIZED:
            return StartupRefused(
                f"the MongoDB user lacks rights that Tocsin needs in the database {database} ({role}):"
                f" {_detail(cause)}"
            )
        return StartupRefused(f"MongoDB: {_detail(cause)}")
    return Unavailable(f"MongoDB cannot be reached: {_detail(cause)}" if cause else str(error))


def _detail(error: BaseException) -> str:
    """Return the driver's message in one line, without the driver's settings."""
    text = (
        str(error.details["errmsg"]) if isinstance(error, OperationFailure) and error.details else str(error)
    )
    return " ".join(text.partition(" (configured")[0].partition(", Timeout:")[0].split())

"""The connection to MongoDB: always the primary, always majority, whatever the URI says."""

from collections.abc import Sequence
from datetime import UTC
from typing import Any

from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorDatabase
from pymongo import ReadPreference, WriteConcern
from pymongo.errors import ConfigurationError, InvalidName
from pymongo.monitoring import CommandListener
from pymongo.read_concern import ReadConcern

from core.errors import StartupRefused

Document = dict[str, Any]
Database = AsyncIOMotorDatabase[Document]

SELECTION_MS = 2_000
CONNECT_MS = 2_000
SOCKET_MS = 10_000
"""How long one command may take; longer than any wait asked of the server."""
WRITE_MS = 5_000
"""How long the server may wait for a majority."""
POOL = 32

MAJORITY_WRITE = WriteConcern("majority", j=True, wtimeout=WRITE_MS)
MAJORITY_READ = ReadConcern("majority")
# Times are read naive and made aware field by field: the driver's own tz_aware doubles the cost of an event.
CODEC: CodecOptions[Document] = CodecOptions(document_class=dict)
RAW: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument)
AWARE: CodecOptions[Document] = CodecOptions(document_class=dict, tz_aware=True, tzinfo=UTC)


def connect(
    uri: str,
    database: str,
    listeners: Sequence[CommandListener] = (),
    *,
    selection_ms: int = SELECTION_MS,
) -> Database:
    """Return the database; nothing is sent yet. Close it with `database.client.close()`.

    `selection_ms`: how long one try waits for a primary.

    Raises:
        StartupRefused: the URI or the database's name is malformed.
    """
    try:
        client: AsyncIOMotorClient[Document] = AsyncIOMotorClient(
            uri,
            serverSelectionTimeoutMS=selection_ms,
            connectTimeoutMS=CONNECT_MS,
            socketTimeoutMS=SOCKET_MS,
            maxPoolSize=POOL,
            appname="tocsin",
            event_listeners=listeners,
        )
    except (ConfigurationError, ValueError) as error:
        raise StartupRefused(f"the MongoDB URI cannot be used: {error}") from error
    try:
        return client.get_database(
            database,
            codec_options=AWARE,
            read_preference=ReadPreference.PRIMARY,
            read_concern=MAJORITY_READ,
            write_concern=MAJORITY_WRITE,
        )
    except InvalidName as error:
        raise StartupRefused(f"the database name cannot be used: {error}") from error

"""How the proxy cuts a stream of bytes into pieces, and how it tells one request from another."""

import asyncio
import struct
from collections.abc import Awaitable, Callable

from tests.kit.wire import HEADER

Read = Callable[[asyncio.StreamReader], Awaitable[bytes]]
CHUNK_BYTES = 64 * 1024


async def message(reader: asyncio.StreamReader) -> bytes:
    """Read one message of MongoDB's wire protocol.

    Raises:
        asyncio.IncompleteReadError: the stream ended.
    """
    head = await reader.readexactly(HEADER.size)
    (length, *_) = HEADER.unpack(head)
    return head + await reader.readexactly(length - HEADER.size)


async def chunk(reader: asyncio.StreamReader) -> bytes:
    """Read what there is, of any protocol.

    Raises:
        asyncio.IncompleteReadError: the stream ended.
    """
    data = await reader.read(CHUNK_BYTES)
    if not data:
        raise asyncio.IncompleteReadError(b"", None)
    return data


def command(name: str, collection: str | None = None) -> bytes:
    """Return bytes that occur in MongoDB's request for a command (on a collection), and hardly elsewhere.

    As in `command("insert", "events")`; not for commands whose value is a number, as `hello`.
    """
    element = b"\x02" + name.encode() + b"\x00"
    if collection is None:
        return element
    value = collection.encode() + b"\x00"
    return element + struct.pack("<i", len(value)) + value


def request_id(request: bytes) -> int:
    """Return the id of a message of MongoDB's wire protocol."""
    return int(HEADER.unpack_from(request)[1])


def answered_id(answer: bytes) -> int:
    """Return the id of the request that a message of MongoDB's wire protocol answers."""
    return int(HEADER.unpack_from(answer)[2])

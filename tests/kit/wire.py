"""One MongoDB command over one connection, with an exact bound: no pool, no monitor, no retry, no threads.

For asking nodes that may be dead, paused or stale, where a driver would wait for a better one.
"""

import socket
import struct
from collections.abc import Mapping
from typing import Any

import bson
from pymongo.errors import OperationFailure

OP_MSG = 2013
HEADER = struct.Struct("<iiii")
"""Of every message: its length in bytes, its id, the id it answers, what kind it is."""
FLAGS_AND_KIND = struct.Struct("<iB")

Document = dict[str, Any]


def ask(port: int, command: Mapping[str, Any], *, database: str = "admin", seconds: float = 5.0) -> Document:
    """Return the answer of the mongod on a loopback port.

    Raises:
        OSError: it could not be reached, hung up, or was silent for that long (TimeoutError).
        OperationFailure: it answered with an error, or with a writeConcernError.
    """
    body = bson.encode({**command, "$db": database})
    length = HEADER.size + FLAGS_AND_KIND.size + len(body)
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as connection:
        connection.sendall(HEADER.pack(length, 1, 0, OP_MSG) + FLAGS_AND_KIND.pack(0, 0) + body)
        (length, *_) = HEADER.unpack(_exactly(connection, HEADER.size))
        rest = _exactly(connection, length - HEADER.size)
    answer: Document = bson.decode(rest[FLAGS_AND_KIND.size :])
    error = answer if not answer.get("ok") else answer.get("writeConcernError")
    if error:
        raise OperationFailure(str(error.get("errmsg")), error.get("code"), answer)
    return answer


def _exactly(connection: socket.socket, size: int) -> bytes:
    received = b""
    while len(received) < size:
        chunk = connection.recv(size - len(received))
        if not chunk:
            raise ConnectionResetError("mongod hung up")
        received += chunk
    return received

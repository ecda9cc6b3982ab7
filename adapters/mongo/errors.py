"""Translates the driver's exceptions into core's errors."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import count
from random import random
from typing import Any, TypeVar

from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    ConnectionFailure,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
    WaitQueueTimeoutError,
)

from core.backoff import backoff
from core.errors import TooBroad, Unavailable
from core.log.ports import NotSent, Unknown

T = TypeVar("T")

READ_SECONDS = 5.0
"""How long a read or a small write may take with all its tries, e.g. until there is a primary."""
BULK_SECONDS = 30.0
"""How long an operation on many documents may take: an index, a batch of rows, a swapped collection."""

SHORTEST_PAUSE_SECONDS = 0.01
LONGEST_PAUSE_SECONDS = 0.5
"""Bounds of the pauses between tries, which double up to the longest."""

QUERY_MS = 5_000
"""How long the server works on one query of a list."""

DUPLICATE_KEY = 11000


_TOO_BROAD_CODES = frozenset({50, 146, 292})
"""Server errors of a query that ran out of time, or of memory for sorting."""

TRANSIENT_CODES = frozenset(
    {
        6,
        7,
        64,
        89,
        91,
        134,
        189,
        202,
        262,
        9001,
        10058,
        10107,
        11600,
        11602,
        13388,
        13435,
        13436,
        43,
        175,
        237,
        246,
        286,
    }
)
"""Server errors of a failover, a shutdown, a lost cursor or a wait that ran out: trying again may help."""


def is_transient(error: BaseException) -> bool:
    """Tell whether repeating the operation may soon succeed."""
    if isinstance(error, OperationFailure):
        return error.code in TRANSIENT_CODES or error.timeout
    return isinstance(error, ConnectionFailure | AutoReconnect)


def write_failure(error: PyMongoError) -> NotSent | Unknown:
    """Return what a write that raised may have done."""
    if isinstance(error, ServerSelectionTimeoutError | WaitQueueTimeoutError):
        return NotSent()
    return Unknown()


def unavailable(error: PyMongoError | TimeoutError) -> Unavailable:
    """Translate an error of a read or of a repeatable write."""
    reason = str(error).partition(", full error")[0].partition(", Timeout:")[0].partition(" (configured")[0]
    return Unavailable(f"MongoDB: {type(error).__name__}: {reason}")


async def retried(operation: Callable[[], Awaitable[T]], seconds: float = READ_SECONDS) -> T:
    """Run a read or a repeatable write, and repeat it after transient errors.

    Raises:
        Unavailable: it did not succeed within so many seconds, or its error is not transient.
    """
    failure: PyMongoError | None = None
    try:
        # A silent socket would hold a single try until the driver's own timeout.
        async with asyncio.timeout(seconds):
            for tries in count(1):
                try:
                    return await operation()
                except PyMongoError as error:
                    if not is_transient(error):
                        raise
                    failure = error
                await asyncio.sleep(backoff(tries, SHORTEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, random()))
    except PyMongoError as error:
        raise unavailable(error) from error
    except TimeoutError:
        if failure is not None:
            raise unavailable(failure) from failure
        raise Unavailable(f"MongoDB: no answer for {seconds:.0f} s") from None
    raise AssertionError  # pragma: no cover (the tries end by returning or raising)


async def bounded(query: Callable[[], Awaitable[T]]) -> T:
    """Run a read whose time on the server is limited, as `retried` does.

    Raises:
        TooBroad: the query needs more time or memory than it may use.
        Unavailable: as `retried` does.
    """

    async def tried() -> T:
        try:
            return await query()
        except OperationFailure as error:
            if error.code in _TOO_BROAD_CODES:
                raise TooBroad(
                    "the query has to look at more alarms than there is time for: narrow it"
                ) from error
            raise

    return await retried(tried, READ_SECONDS + QUERY_MS / 1_000)


def duplicates(error: BulkWriteError) -> Sequence[int]:
    """Return the indexes of writes that met a duplicate key; raise any other error."""
    details: Mapping[str, Any] = error.details
    errors = details.get("writeErrors", [])
    others = [each for each in errors if each["code"] != DUPLICATE_KEY]
    concern = details.get("writeConcernErrors", [])
    if not others and not concern:
        return [each["index"] for each in errors]
    # Repeating all writes is safe, so a transient error stands for them unless one is lasting.
    reasons = [*others, *concern]
    worst = next((each for each in reasons if each["code"] not in TRANSIENT_CODES), reasons[0])
    raise OperationFailure(worst["errmsg"], worst["code"]) from error

"""The one table from the driver's exceptions to this project's."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
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
from tenacity import AsyncRetrying, retry_if_exception, stop_after_delay, wait_random_exponential

from core.errors import TooBroad, Unavailable
from core.log.ports import NotSent, Unknown

T = TypeVar("T")

READ_SECONDS = 5.0
"""How long a read or a small write may take with all its tries, as while the replica set has no primary."""
BULK_SECONDS = 30.0
"""How long what touches many documents may take: an index, a batch of rows, a collection put in place."""

QUERY_MS = 5_000
"""How long the server works on one query of a list."""

DUPLICATE_KEY = 11000

TOO_BROAD = "there are too many alarms to look through for this: name more conditions, or sort by state"

_TOO_BROAD_CODES = frozenset({50, 146, 292})
"""Server errors of a query that ran out of its time, or of memory to sort in."""

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
    """Tell whether the same operation may succeed in a moment."""
    if isinstance(error, OperationFailure):
        return error.code in TRANSIENT_CODES or error.timeout
    return isinstance(error, ConnectionFailure | AutoReconnect)


def write_failure(error: PyMongoError) -> NotSent | Unknown:
    """Say what a write that raised may have done."""
    if isinstance(error, ServerSelectionTimeoutError | WaitQueueTimeoutError):
        return NotSent()
    return Unknown()


def unavailable(error: PyMongoError | TimeoutError) -> Unavailable:
    """Translate an error of a read or of a repeatable write."""
    reason = str(error).partition(", full error")[0].partition(", Timeout:")[0].partition(" (configured")[0]
    return Unavailable(f"MongoDB: {type(error).__name__}: {reason}")


async def retried(operation: Callable[[], Awaitable[T]], seconds: float = READ_SECONDS) -> T:
    """Run a read or a repeatable write, again while it fails for a passing reason.

    Raises:
        Unavailable: it failed for so many seconds, did not end in them, or failed for a lasting reason.
    """
    attempts = AsyncRetrying(
        stop=stop_after_delay(seconds),
        wait=wait_random_exponential(multiplier=0.02, max=0.5),
        retry=retry_if_exception(is_transient),
        reraise=True,
    )
    failure: PyMongoError | None = None
    try:
        # A socket that went silent would hold a single try for as long as the driver lets it.
        async with asyncio.timeout(seconds):
            async for attempt in attempts:
                with attempt:
                    try:
                        return await operation()
                    except PyMongoError as error:
                        failure = error
                        raise
    except PyMongoError as error:
        raise unavailable(error) from error
    except TimeoutError:
        if failure is not None:
            raise unavailable(failure) from failure
        raise Unavailable(f"MongoDB: no answer for {seconds:.0f} s") from None
    raise AssertionError  # pragma: no cover (the attempts end by returning or raising)


async def bounded(query: Callable[[], Awaitable[T]]) -> T:
    """Run a read whose time on the server is limited, as `retried` does.

    Raises:
        TooBroad: it needs more time or memory than it has.
        Unavailable: as `retried` does.
    """

    async def tried() -> T:
        try:
            return await query()
        except OperationFailure as error:
            if error.code in _TOO_BROAD_CODES:
                raise TooBroad(
                    "more alarms have to be looked at than there is time for: ask for fewer"
                ) from error
            raise

    return await retried(tried, READ_SECONDS + QUERY_MS / 1_000)


def duplicates(error: BulkWriteError) -> Sequence[int]:
    """Return which writes met a duplicate key; raise what else went wrong."""
    details: Mapping[str, Any] = error.details
    errors = details.get("writeErrors", [])
    others = [each for each in errors if each["code"] != DUPLICATE_KEY]
    concern = details.get("writeConcernErrors", [])
    if not others and not concern:
        return [each["index"] for each in errors]
    # Repeating the whole is safe, so the first passing reason stands for all.
    reasons = [*others, *concern]
    worst = next((each for each in reasons if each["code"] not in TRANSIENT_CODES), reasons[0])
    raise OperationFailure(worst["errmsg"], worst["code"]) from error

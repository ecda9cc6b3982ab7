"""Reads bodies that may never come, or come byte by byte."""

import asyncio

from starlette.requests import Request

from entrypoints.http.limits import BODY_SECONDS, LEAST_BYTES_PER_SECOND
from entrypoints.http.problems import Problem


async def read_body(request: Request, limit: int) -> bytes:
    """Read the body, up to the first part that goes beyond `limit` bytes.

    Raises:
        Problem: 408, it comes too slowly.
        ClientDisconnect: the connection ended first.
    """
    body, began = bytearray(), asyncio.get_running_loop().time()
    try:
        async with asyncio.timeout(BODY_SECONDS) as patience:
            async for chunk in request.stream():
                body += chunk
                if len(body) > limit:
                    break
                patience.reschedule(began + BODY_SECONDS + len(body) / LEAST_BYTES_PER_SECOND)
    except TimeoutError:
        raise _too_slow() from None
    return bytes(body)


def _too_slow() -> Problem:
    detail = f"a body comes within {BODY_SECONDS:.0f} s, or at {LEAST_BYTES_PER_SECOND // 1024} KiB a second"
    # The rest of the body is not read, so the connection cannot be used again.
    return Problem(408, "body_too_slow", detail, {"Connection": "close"})

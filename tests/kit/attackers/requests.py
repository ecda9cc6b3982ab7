"""Attacks by requests that never end: header lines, a body byte by byte, chunks."""

import asyncio

from tests.kit.attackers.crowd import Crowd
from tests.kit.attackers.target import Target

LINES = b"".join(b"X-Filler-%d: %s\r\n" % (number, b"x" * 1_000) for number in range(64))
CHUNKS = (b"1000\r\n" + b" " * 0x1000 + b"\r\n") * 16
PROMISED_BYTES = 100_000
DRIP_SECONDS = 1.0


async def send_headers_endlessly(target: Target, seconds: float) -> None:
    """Send a request that is nothing but header lines."""
    await _go_on(target, target.head("GET", "/healthz"), LINES, seconds)


async def send_chunks_endlessly(target: Target, seconds: float) -> None:
    """Send a chunked body without an end to a route for commands, then to the ingest."""
    for path in ("/v1/alarms", "/v1/ingest/alertmanager"):
        fields = ("Content-Type: application/json", "Transfer-Encoding: chunked")
        await _go_on(target, target.head("POST", path, *fields) + b"\r\n", CHUNKS, seconds / 2)


async def drip_bodies(target: Target, seconds: float, sockets: int = 100) -> int:
    """Send bodies at one byte a second; return how many connections the server still bears at the end."""
    fields = ("Content-Type: application/json", f"Content-Length: {PROMISED_BYTES}")
    head = target.head("POST", "/v1/alarms", *fields) + b"\r\n"

    async def drip() -> None:
        member = await crowd.join(head)
        while await crowd.say(member, b" "):
            await asyncio.sleep(DRIP_SECONDS)

    async with Crowd(target) as crowd:
        dripping = [asyncio.ensure_future(drip()) for _ in range(sockets)]
        try:
            await asyncio.sleep(DRIP_SECONDS)
            return await crowd.outlast(seconds)
        finally:
            for each in dripping:
                each.cancel()
            await asyncio.gather(*dripping, return_exceptions=True)


async def _go_on(target: Target, first: bytes, again: bytes, seconds: float) -> None:
    async with Crowd(target) as crowd:
        await crowd.say_for(await crowd.join(first), again, seconds)

"""Attacks by readers that never read: they ask for much, and leave it to the server to keep it."""

import asyncio

from tests.kit.attackers.crowd import Crowd
from tests.kit.attackers.target import Target


async def leave_exports(target: Target, seconds: float, count: int = 100) -> None:
    """Export the whole list many times, and read nothing of it."""
    await _leave(target, target.get("/v1/alarms/export?state=all&format=ndjson"), seconds, count)


async def leave_streams(target: Target, seconds: float, count: int = 100) -> None:
    """Follow the log from its beginning many times, as event streams, and read nothing."""
    await _leave(target, target.get("/v1/events?after=0", "Accept: text/event-stream"), seconds, count)


async def leave_events(target: Target, seconds: float, count: int = 100) -> None:
    """Ask for the largest page of the log many times, and read nothing."""
    await _leave(target, target.get("/v1/events?after=0&limit=1000"), seconds, count)


async def _leave(target: Target, request: bytes, seconds: float, count: int) -> None:
    async with Crowd(target) as crowd:
        await asyncio.gather(*(crowd.join(request) for _ in range(count)))
        await asyncio.sleep(seconds)

"""Attacks by silence: sockets that are opened and never used."""

import asyncio

from tests.kit.attackers.crowd import Crowd
from tests.kit.attackers.target import Target

AT_ONCE = 100
"""How many connect at the same time, fewer than a listener's queue holds."""


async def keep_silent(target: Target, seconds: float, sockets: int = 3_500) -> int:
    """Open sockets and send nothing; return how many the server still bears at the end."""
    async with Crowd(target) as crowd:
        for _ in range(0, sockets, AT_ONCE):
            await asyncio.gather(*(crowd.join() for _ in range(AT_ONCE)))
        return await crowd.outlast(seconds)


async def never_introduce(target: Target, seconds: float, sockets: int = 3_500) -> int:
    """Open WebSockets and never say who asks; return how many the server still bears at the end."""
    async with Crowd(target) as crowd:
        for _ in range(0, sockets, AT_ONCE):
            await asyncio.gather(*(crowd.upgrade(anonymous=True) for _ in range(AT_ONCE)))
        return await crowd.outlast(seconds)

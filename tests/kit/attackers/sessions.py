"""Attacks by sessions: snapshots that nobody reads, pings and fragments without end."""

import asyncio
import json
from collections.abc import Awaitable, Callable

from tests.kit.attackers.crowd import Crowd, frame, text
from tests.kit.attackers.target import Target

PING, TEXT, CONTINUATION = 0x9, 0x1, 0x0
AT_A_TIME = 500
"""How many frames are sent in one write."""


async def hoard_snapshots(
    target: Target, seconds: float, sessions: int = 40, subscriptions: int = 32
) -> None:
    """Ask for many snapshots in many sessions, and read none."""

    async def hoard(number: int) -> None:
        member = await crowd.upgrade()
        asked = [text(_snapshot(f"{number}-{each}")) for each in range(subscriptions)]
        await crowd.say(member, b"".join(asked))

    async with Crowd(target) as crowd:
        await asyncio.gather(*map(hoard, range(sessions)))
        await asyncio.sleep(seconds)


def _snapshot(name: str) -> str:
    # Filters that differ, so that no two subscriptions can share what is read for them.
    wanted = {"sources": ["plant/*", f"nowhere/{name}"]}
    return json.dumps({"op": "subscribe", "id": name, "snapshot": True, "filter": wanted})


async def ping_deafly(target: Target, seconds: float, sockets: int = 4) -> None:
    """Send pings without end, and read no pong."""
    await _each(target, sockets, lambda _: b"", lambda _: frame(PING, bytes(125)) * AT_A_TIME, seconds)


async def fragment_endlessly(target: Target, seconds: float, sockets: int = 4) -> None:
    """Begin messages that never end: of empty fragments, and of small ones."""

    def going_on(number: int) -> bytes:
        return frame(CONTINUATION, b"" if number % 2 else b" ", final=False) * AT_A_TIME

    await _each(target, sockets, lambda _: frame(TEXT, b" ", final=False), going_on, seconds)


async def _each(
    target: Target,
    sockets: int,
    first: Callable[[int], bytes],
    again: Callable[[int], bytes],
    seconds: float,
) -> None:
    async def attack(number: int) -> None:
        member = await crowd.upgrade()
        await crowd.say(member, first(number))
        await crowd.say_for(member, again(number), seconds)

    async with Crowd(target) as crowd:
        attacks: list[Awaitable[None]] = [attack(number) for number in range(sockets)]
        await asyncio.gather(*attacks)

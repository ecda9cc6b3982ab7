"""Attacks by questions that cost: the list as it stood once, searched for what is not there."""

import asyncio
import re

from tests.kit.attackers.crowd import Crowd
from tests.kit.attackers.target import Target

ANSWER_SECONDS = 30.0


async def search_the_past(target: Target, seconds: float, viewers: int = 48) -> int:
    """Ask for the list of a moment, again and again; return how many answers came."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    newest = await _newest(target, seconds)
    path = f"/v1/alarms?state=all&as_of={newest}&limit=1000&q=nothing-like-it"

    async def view() -> int:
        answers = 0
        while (left := deadline - loop.time()) > 0:
            async with Crowd(target) as alone:
                member = await alone.join(target.get(path, "Connection: close"))
                answers += bool(await alone.hear_out(member, min(left, ANSWER_SECONDS)))
                # Refusals come at once: a client that asks on without a rest would only measure itself.
                await asyncio.sleep(0.05)
        return answers

    return sum(await asyncio.gather(*(view() for _ in range(viewers))))


async def _newest(target: Target, seconds: float) -> int:
    """Return the end of the log; the first position, if the server does not say."""
    async with Crowd(target) as alone:
        member = await alone.join(target.get("/v1/events?limit=1", "Connection: close"))
        answer = await alone.hear_out(member, seconds)
    found = re.search(rb'"position":(\d+)}$', answer)
    return int(found[1]) if found else 1

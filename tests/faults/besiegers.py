"""The attackers of a siege: processes of their own, one at a time, then several at once."""

import asyncio
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import count
from pathlib import Path

from tests.kit.attackers.catalog import ATTACKS
from tests.kit.processes import Process
from tests.kit.servers import TocsinServer

ATTACK_SECONDS = 3.0
ENDED_SECONDS = 60.0
"""How long an attack may take to end once its time is over."""
AT_ONCE = 3


async def attack(
    servers: Sequence[TocsinServer], fired: Counter[str], folder: Path, *, seconds: float, seed: int
) -> None:
    """Attack the servers by turns for so long, in every way at least once; count in `fired` what happened."""
    chance = random.Random(seed)
    until = time.monotonic() + seconds
    # Each once in turn whatever the time says: an attack that did not happen proves nothing.
    for number, name in enumerate(ATTACKS):
        await _strike(servers[number % len(servers)], fired, folder, [name])
    for number in count():
        if time.monotonic() >= until:
            return
        names = chance.sample(list(ATTACKS), AT_ONCE)
        await _strike(servers[number % len(servers)], fired, folder, names)


async def _strike(server: TocsinServer, fired: Counter[str], folder: Path, names: Sequence[str]) -> None:
    """Let processes of their own attack one server, and wait until they have ended."""
    with ExitStack() as stack:
        attackers = [stack.enter_context(_attacker(name, server.port, folder)) for name in names]
        for name, attacker in zip(names, attackers, strict=True):
            status = await asyncio.to_thread(attacker.wait, ATTACK_SECONDS + ENDED_SECONDS)
            if status:
                raise attacker.failed(f"ended with status {status}")
            fired[name] += 1


def _attacker(name: str, port: int, folder: Path) -> Process:
    command = [sys.executable, "-m", "tests.kit.attackers", name, str(port), str(ATTACK_SECONDS)]
    return Process(name, command, folder / f"{name}.log")

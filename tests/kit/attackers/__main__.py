"""Attacks a server on loopback from a process of its own: python -m tests.kit.attackers NAME PORT SECONDS."""

import asyncio
import sys

from tests.kit.attackers.catalog import ATTACKS
from tests.kit.attackers.target import Target


async def main(name: str, port: str, seconds: str) -> None:
    """Carry out one attack."""
    await ATTACKS[name](Target(int(port)), float(seconds))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

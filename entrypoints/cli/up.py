"""Everything in one command: the embedded mongod and one server process."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from adapters.mongo.embedded.mongod import EmbeddedMongod, find_mongod
from core.access.callers import DEFAULT_TENANT
from core.errors import StartupRefused
from entrypoints.cli.demo import simulate
from entrypoints.cli.token import minted
from entrypoints.process.server import run_server
from entrypoints.process.settings import Settings

DEMO_TTL = "30d"


async def run_up(
    settings: Settings, data: Path, mongod: str | None, out: Console, *, demo: bool = False
) -> None:
    """Run mongod with its data in the folder, and a server on it, until a signal ends both.

    `demo`: with a simulated plant that reports to it.

    Raises:
        StartupRefused: there is no mongod, it does not start, or the address cannot be had.
    """
    settings.check()
    token = _token(settings) if demo else None
    async with EmbeddedMongod(data, find_mongod(mongod)) as database:
        with _plants() as plants:

            def started(url: str) -> None:
                _welcome(url, database.uri, out)
                if demo:
                    plants.append(asyncio.create_task(simulate(url, token)))

            await run_server(replace(settings, mongodb_uri=database.uri), started)
    out.print("Stopped; the data is kept in", str(data))


@contextmanager
def _plants() -> Iterator[list[asyncio.Task[None]]]:
    """End with the block what was started in it."""
    plants: list[asyncio.Task[None]] = []
    try:
        yield plants
    finally:
        for each in plants:
            each.cancel()


def _token(settings: Settings) -> str | None:
    """Return a token for the simulated plant. Raises StartupRefused: nobody here can sign one."""
    if not settings.authenticated:
        return None
    if settings.auth_secret is None:
        raise StartupRefused(
            "--demo signs its own token, and so needs TOCSIN_AUTH_SECRET, or no authentication"
        )
    return minted(settings.auth_secret, "demo-plant", DEFAULT_TENANT, frozenset({"source"}), DEMO_TTL)


def _welcome(url: str, uri: str, out: Console) -> None:
    out.print(
        f"""
Tocsin is at {url}   (MongoDB: {uri})

Raise an alarm, list the alarms, acknowledge it:

  curl -X POST {url}/v1/alarms -H 'Content-Type: application/json' \\
       -d '{{"source":"boiler-7","type":"overpressure","severity":"major","text":"12.4 bar"}}'
  curl {url}/v1/alarms
  curl -X POST {url}/v1/alarms/ID/acknowledge -H 'Content-Type: application/json' -d '{{"revision":1}}'

Ctrl-C stops both.
""",
        markup=False,
        soft_wrap=True,
    )

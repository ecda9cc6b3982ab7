"""`tocsin up`: the embedded mongod and one server process in one command."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from rich.console import Console

from adapters.mongo.embedded.mongod import EmbeddedMongod, find_mongod
from core.access.callers import DEFAULT_TENANT
from core.errors import StartupRefused
from entrypoints.cli.demo import simulate
from entrypoints.cli.printing import out
from entrypoints.cli.runner import run
from entrypoints.cli.token import minted
from entrypoints.process.server import run_server
from entrypoints.process.settings import Settings

DEMO_TTL = "30d"


def up(settings: Settings) -> None:
    """Run MongoDB and one server process together, the data kept in a folder: for trying it out."""
    run(run_up(settings, out))


async def run_up(settings: Settings, console: Console) -> None:
    """Run mongod, a server on it and perhaps a simulated plant that reports to it, until a signal ends all.

    Raises:
        StartupRefused: there is no mongod, it does not start, or the address cannot be had.
    """
    settings.check()
    token = _token(settings) if settings.demo else None
    async with EmbeddedMongod(settings.data, find_mongod(settings.mongod)) as database:
        with _plants() as plants:

            def started(url: str) -> None:
                _welcome(url, database.uri, console)
                if settings.demo:
                    plants.append(asyncio.create_task(simulate(url, token)))

            await run_server(replace(settings, mongodb_uri=database.uri), started)
    console.print("Stopped; the data is kept in", str(settings.data))


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


def _welcome(url: str, uri: str, console: Console) -> None:
    console.print(
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

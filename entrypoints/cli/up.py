"""`tocsin up`: runs the embedded mongod and one server process in one command."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from rich.console import Console

from core.access.callers import DEFAULT_TENANT
from core.errors import StartupRefused
from entrypoints.cli.demo import simulate
from entrypoints.cli.printing import out
from entrypoints.cli.runner import run
from entrypoints.cli.token import minted
from entrypoints.process.embedded import embedded_mongodb
from entrypoints.process.server import run_server
from entrypoints.process.settings import Settings

DEMO_TTL = "30d"


def up(settings: Settings) -> None:
    """Run MongoDB and one server process together, with the data in a folder, to try Tocsin out."""
    run(run_up(settings, out))


async def run_up(settings: Settings, console: Console) -> None:
    """Run mongod, a server on it and, with `demo`, a simulated plant, until a signal ends all.

    Raises:
        StartupRefused: mongod is missing or does not start, or the server cannot start.
    """
    settings.check()
    token = _token(settings) if settings.demo else None
    async with embedded_mongodb(settings.data, settings.mongod) as uri:
        with _plants() as plants:

            def started(url: str) -> None:
                _welcome(url, uri, console)
                if settings.demo:
                    plants.append(asyncio.create_task(simulate(url, token)))

            await run_server(replace(settings, mongodb_uri=uri), started)
    console.print("Stopped; the data is kept in", str(settings.data))


@contextmanager
def _plants() -> Iterator[list[asyncio.Task[None]]]:
    """Yield a list for tasks, and cancel them when the block ends."""
    plants: list[asyncio.Task[None]] = []
    try:
        yield plants
    finally:
        for each in plants:
            each.cancel()


def _token(settings: Settings) -> str | None:
    """Return the simulated plant's token; None: it needs none. Raises StartupRefused: there is no secret."""
    if not settings.authenticated:
        return None
    if settings.auth_secret is None:
        raise StartupRefused(
            "--demo signs its own token, so it needs TOCSIN_AUTH_SECRET, or no authentication"
        )
    return minted(settings, "demo-plant", DEFAULT_TENANT, frozenset({"source"}), DEMO_TTL)


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

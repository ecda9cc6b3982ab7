"""Everything in one command: the embedded mongod and one server process."""

from dataclasses import replace
from pathlib import Path

from rich.console import Console

from adapters.mongo.embedded import EmbeddedMongod, find_mongod
from entrypoints.serve import run_server
from entrypoints.settings import Settings


async def run_up(settings: Settings, data: Path, mongod: str | None, out: Console) -> None:
    """Run mongod with its data in the folder, and a server on it, until a signal ends both.

    Raises:
        StartupRefused: there is no mongod, it does not start, or the address cannot be had.
    """
    settings.check()
    async with EmbeddedMongod(data, find_mongod(mongod)) as database:
        await run_server(
            replace(settings, mongodb_uri=database.uri), lambda url: _welcome(url, database.uri, out)
        )
    out.print("Stopped; the data is kept in", str(data))


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

"""`tocsin tail`: follows the log in a terminal, through a server or straight from MongoDB."""

import logging
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from core.alarm.events import Event
from core.delivery.protocol import EventMessage
from entrypoints.cli.parameters import Json
from entrypoints.cli.printing import out, write_json
from entrypoints.cli.runner import run
from entrypoints.client.stream import TocsinStream
from entrypoints.client.subscription import StartOver
from entrypoints.process.compose import feeding
from entrypoints.process.settings import Settings
from entrypoints.process.storage import existing

logger = logging.getLogger("tocsin.tail")

STYLES = {"critical": "bold red", "major": "red", "minor": "yellow", "warning": "bright_yellow"}


def tail(
    settings: Settings,
    after: Annotated[
        int | None, typer.Option(help="Start after this position; default: the newest.", min=0)
    ] = None,
    json: Json = False,
    url: Annotated[
        list[str] | None,
        typer.Option(help="Follow through a server, ws://HOST:PORT/v1/stream; repeat to name others."),
    ] = None,
) -> None:
    """Follow the log of events, from MongoDB or through a server."""
    if url:
        run(follow_server(url, settings.token, after, out, as_json=json))
    else:
        run(follow(settings, after, out, as_json=json))


async def follow(settings: Settings, after: int | None, console: Console, *, as_json: bool) -> None:
    """Print every event past position `after` (None: the newest) until interrupted.

    Raises:
        StartupRefused: on this MongoDB only the server's own process hears of new events.
        Unavailable: MongoDB cannot be reached.
    """
    async with existing(settings) as store, feeding(store) as feed:
        start = feed.position if after is None else after
        async for events in feed.follow(start):
            for event in events:
                _print(event, console, as_json=as_json)
            console.file.flush()


async def follow_server(
    urls: Sequence[str], token: str | None, after: int | None, console: Console, *, as_json: bool
) -> None:
    """Print every event of the token's tenant past position `after` (None: the newest) until interrupted.

    Raises:
        StreamEnded: no server can be reached, or the servers refuse the token.
    """

    async def the_token(_refused: bool) -> str:
        return token or ""

    async with TocsinStream(urls, token=the_token if token else None) as stream:
        async for item in stream.subscribe(after=after):
            if isinstance(item, EventMessage):
                _print(item, console, as_json=as_json)
                console.file.flush()
            elif isinstance(item, StartOver):
                logger.warning("the log starts over (%s): following from now on", item.reason)


def _print(event: Event | EventMessage, console: Console, *, as_json: bool) -> None:
    if as_json:
        write_json(console, event)
    else:
        console.print(_line(event), soft_wrap=True)


def _line(event: Event | EventMessage) -> Text:
    alarm = event.alarm
    name = f"{alarm.source} {alarm.type}" + (f" {alarm.qualifier}" if alarm.qualifier else "")
    line = Text(f"{event.position:>8}  {event.at:%H:%M:%S.%f}"[:-3])
    line.append(f"  {event.type.removeprefix('alarm.'):<13}")
    line.append(f"{alarm.severity:<14}", style=STYLES.get(alarm.severity, ""))
    line.append(f"{alarm.state:<12}{name}  ")
    line.append(alarm.text.replace("\n", " "), style="dim")
    return line

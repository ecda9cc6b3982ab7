"""Following the log in a terminal: through a server, or straight from MongoDB."""

import logging
from collections.abc import Sequence

import msgspec
from rich.console import Console
from rich.text import Text

from core.alarm.events import Event
from core.delivery.protocol import EventMessage
from entrypoints.client.stream import TocsinStream
from entrypoints.client.subscription import StartOver
from entrypoints.process.compose import feeding
from entrypoints.process.settings import Settings
from entrypoints.process.storage import storage

logger = logging.getLogger("tocsin.tail")

STYLES = {"critical": "bold red", "major": "red", "minor": "yellow", "warning": "bright_yellow"}


async def follow(settings: Settings, after: int | None, out: Console, *, as_json: bool) -> None:
    """Print every event behind `after` (None: from now on) until interrupted.

    Raises:
        StartupRefused: only a server hears of new events here.
        Unavailable: MongoDB cannot be reached.
    """
    chosen = (settings.mongodb_uri, settings.database, settings.feed, settings.redis_url)
    async with storage(*chosen) as store, feeding(store) as feed:
        start = feed.position if after is None else after
        async for events in feed.follow(start):
            for event in events:
                _print(event, out, as_json=as_json)
            out.file.flush()


async def follow_server(
    urls: Sequence[str], token: str | None, after: int | None, out: Console, *, as_json: bool
) -> None:
    """Print every event of the token's tenant behind `after` (None: from now on) until interrupted.

    Raises:
        StreamEnded: the servers are not to be reached, or don't let us in.
    """

    async def the_token(_refused: bool) -> str:
        return token or ""

    async with TocsinStream(urls, token=the_token if token else None) as stream:
        async for item in stream.subscribe(after=after):
            if isinstance(item, EventMessage):
                _print(item, out, as_json=as_json)
                out.file.flush()
            elif isinstance(item, StartOver):
                logger.warning("the log starts over (%s): following from now on", item.reason)


def _print(event: Event | EventMessage, out: Console, *, as_json: bool) -> None:
    if as_json:
        out.file.write(msgspec.json.encode(event).decode() + "\n")
    else:
        out.print(_line(event), soft_wrap=True)


def _line(event: Event | EventMessage) -> Text:
    alarm = event.alarm
    name = f"{alarm.source} {alarm.type}" + (f" {alarm.qualifier}" if alarm.qualifier else "")
    line = Text(f"{event.position:>8}  {event.at:%H:%M:%S.%f}"[:-3])
    line.append(f"  {event.type.removeprefix('alarm.'):<13}")
    line.append(f"{alarm.severity:<14}", style=STYLES.get(alarm.severity, ""))
    line.append(f"{alarm.state:<12}{name}  ")
    line.append(alarm.text.replace("\n", " "), style="dim")
    return line

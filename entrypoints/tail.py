"""Following the log in a terminal."""

import msgspec
from rich.console import Console
from rich.text import Text

from core.events import Event
from entrypoints.compose import feeding, storage
from entrypoints.settings import Settings

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
                if as_json:
                    out.file.write(msgspec.json.encode(event).decode() + "\n")
                else:
                    out.print(_line(event), soft_wrap=True)
            out.file.flush()


def _line(event: Event) -> Text:
    alarm = event.alarm
    name = f"{alarm.source} {alarm.type}" + (f" {alarm.qualifier}" if alarm.qualifier else "")
    line = Text(f"{event.position:>8}  {event.at:%H:%M:%S.%f}"[:-3])
    line.append(f"  {event.type.removeprefix('alarm.'):<13}")
    line.append(f"{alarm.severity:<14}", style=STYLES.get(alarm.severity, ""))
    line.append(f"{alarm.state:<12}{name}  ")
    line.append(alarm.text.replace("\n", " "), style="dim")
    return line

"""How far a long command is: a bar on a terminal, lines elsewhere."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bars

from core.application.replay.progress import Progress

SHOWN = 100
"""How many findings a long command prints; all are counted."""


@contextmanager
def progress_on(console: Console) -> Iterator[Progress]:
    """Show a bar with a rate and the time left; where there is no terminal, a line for each tenth."""
    if not console.is_terminal:
        yield _lines(console)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(show_speed=True),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=console) as bars:
        tasks: dict[str, TaskID] = {}

        def progress(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=None)
            bars.update(tasks[what], completed=done, total=total or None)

        yield progress


def _lines(console: Console) -> Progress:
    said: dict[str, int] = {}

    def progress(what: str, done: int, total: int) -> None:
        # What has no known end is said once.
        tenths = done * 10 // total if total else 0
        if tenths > said.get(what, -1):
            said[what] = tenths
            console.print(f"{what}: {done:,} of {total:,}" if total else what, soft_wrap=True)

    return progress

"""`tocsin replay alarms` and `tocsin verify` in a terminal: progress, findings, exit codes."""

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
from rich.progress import Progress as ProgressBar

from core.application.projections.alarms import AlarmModel
from core.application.projections.kpis import KpiModel
from core.application.replay.alarms import replay_alarms
from core.application.replay.checking import Difference, check_alarms, verify
from core.application.replay.kpis import replay_kpis
from core.application.replay.progress import Progress
from entrypoints.process.host import holder
from entrypoints.process.storage import storage

SHOWN = 100
"""How many findings are printed; all are counted."""


async def replay_list(uri: str, database: str, out: Console, *, newest: bool = False) -> int:
    """Rebuild the alarm list from the log; return the exit code, 0."""
    async with storage(uri, database) as store:
        model = AlarmModel(store.alarms, store.checkpoints, store.rebuild)
        with _progress(out) as progress:
            position = await replay_alarms(store.log, model, store.leases, holder(), progress, newest=newest)
    out.print(f"the alarm list as of position {position:,}: swapped in")
    return 0


async def replay_figures(uri: str, database: str, out: Console) -> int:
    """Count the key figures anew from the log; return the exit code, 0."""
    async with storage(uri, database) as store:
        model = KpiModel(store.kpis, store.checkpoints)
        with _progress(out) as progress:
            position = await replay_kpis(store.log, model, store.leases, holder(), progress)
    out.print(f"the key figures as of position {position:,}: swapped in")
    return 0


async def check_list(uri: str, database: str, out: Console) -> int:
    """Compare the alarm list with the log; return the exit code: 1 if any row differs."""
    count = 0
    async with storage(uri, database) as store:
        model = AlarmModel(store.alarms, store.checkpoints, store.rebuild)
        with _progress(out) as progress:
            async for difference in check_alarms(store.log, model, progress):
                count += 1
                if count <= SHOWN:
                    _print_difference(difference, out)
    out.print("the alarm list is what the log says" if count == 0 else f"{count:,} rows differ")
    return 1 if count else 0


async def verify_log(uri: str, database: str, out: Console) -> int:
    """Check the log against itself; return the exit code: 1 if anything is wrong."""
    count = 0
    async with storage(uri, database) as store:
        with _progress(out) as progress:
            async for finding in verify(store.log, progress):
                count += 1
                if count <= SHOWN:
                    out.print(f"position {finding.position}: {finding.detail}", markup=False, soft_wrap=True)
        tail = await store.log.tail()
    verdict = "nothing wrong" if count == 0 else f"{count:,} findings"
    out.print(f"{tail.position:,} events: {verdict}")
    return 1 if count else 0


def _print_difference(difference: Difference, out: Console) -> None:
    out.print(f"{difference.alarm_id}: {difference.kind}", markup=False, soft_wrap=True)
    for name, (expected, found) in difference.fields.items():
        out.print(f"    {name}: is {found!r}, should be {expected!r}", markup=False, soft_wrap=True)


@contextmanager
def _progress(out: Console) -> Iterator[Progress]:
    """Show a bar with a rate and the time left; where there is no terminal, a line for each tenth."""
    if not out.is_terminal:
        yield _lines(out)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(show_speed=True),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with ProgressBar(*columns, console=out) as bar:
        tasks: dict[str, TaskID] = {}

        def progress(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=None)
            bar.update(tasks[what], completed=done, total=total or None)

        yield progress


def _lines(out: Console) -> Progress:
    said: dict[str, int] = {}

    def progress(what: str, done: int, total: int) -> None:
        # What has no known end is said once.
        tenths = done * 10 // total if total else 0
        if tenths > said.get(what, -1):
            said[what] = tenths
            out.print(f"{what}: {done:,} of {total:,}" if total else what, soft_wrap=True)

    return progress

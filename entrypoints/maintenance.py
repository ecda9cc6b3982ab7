"""`tocsin replay alarms` and `tocsin verify` in a terminal: progress, findings, exit codes."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from entrypoints import check, replay
from entrypoints.host import holder
from entrypoints.storage import storage
from entrypoints.worker import AlarmModel

SHOWN = 100
"""How many findings are printed; all are counted."""


async def replay_list(uri: str, database: str, out: Console) -> int:
    """Rebuild the alarm list from the log; return the exit code: 0, or 1 if a snapshot was not its fold."""
    async with storage(uri, database) as store:
        model = AlarmModel(store.alarms, store.checkpoints, store.rebuild)
        with _progress("folding", out) as progress:
            done = await replay.replay_alarms(store.log, model, store.leases, holder(), progress)
    out.print(f"{done.alarms:,} alarms as of position {done.position:,}: swapped in")
    if done.differing:
        out.print(f"{done.differing:,} events carry another snapshot than their fold: run `tocsin verify`")
    return 1 if done.differing else 0


async def check_list(uri: str, database: str, out: Console) -> int:
    """Compare the alarm list with the log; return the exit code: 1 if any row differs."""
    count = 0
    async with storage(uri, database) as store:
        model = AlarmModel(store.alarms, store.checkpoints, store.rebuild)
        with _progress("folding", out) as progress:
            async for difference in check.check_alarms(store.log, model, progress):
                count += 1
                if count <= SHOWN:
                    _print_difference(difference, out)
    out.print("the alarm list is what the log says" if count == 0 else f"{count:,} rows differ")
    return 1 if count else 0


async def verify_log(uri: str, database: str, out: Console) -> int:
    """Check the log against itself; return the exit code: 1 if anything is wrong."""
    count = 0
    async with storage(uri, database) as store:
        with _progress("checking", out) as progress:
            async for finding in check.verify(store.log, progress):
                count += 1
                if count <= SHOWN:
                    out.print(f"position {finding.position}: {finding.detail}", markup=False, soft_wrap=True)
        tail = await store.log.tail()
    verdict = "nothing wrong" if count == 0 else f"{count:,} findings"
    out.print(f"{tail.position:,} events: {verdict}")
    return 1 if count else 0


def _print_difference(difference: check.Difference, out: Console) -> None:
    out.print(f"{difference.alarm_id}: {difference.kind}", markup=False, soft_wrap=True)
    for name, (expected, found) in difference.fields.items():
        out.print(f"    {name}: is {found!r}, should be {expected!r}", markup=False, soft_wrap=True)


@contextmanager
def _progress(what: str, out: Console) -> Iterator[replay.Progress]:
    """Show a bar with a rate and the time left; where there is no terminal, a line for each tenth."""
    if not out.is_terminal:
        yield _lines(what, out)
        return
    columns = (
        TextColumn(what),
        BarColumn(),
        TaskProgressColumn(show_speed=True),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=out) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _lines(what: str, out: Console) -> replay.Progress:
    said = 0

    def progress(done: int, total: int) -> None:
        nonlocal said
        tenths = done * 10 // total if total else 10
        if tenths > said:
            said = tenths
            out.print(f"{what}: {done:,} of {total:,} events", soft_wrap=True)

    return progress

"""`tocsin replay alarms | kpis`: rebuilds a read model from the log, or compares the two."""

from typing import Annotated

import typer
from rich.console import Console

from core.application.projections.alarms import AlarmModel
from core.application.projections.kpis import KpiModel
from core.application.replay.alarms import replay_alarms
from core.application.replay.checking import Difference, check_alarms
from core.application.replay.kpis import replay_kpis
from entrypoints.cli.printing import out, say
from entrypoints.cli.progress import SHOWN, progress_on
from entrypoints.cli.runner import finish
from entrypoints.process.host import holder
from entrypoints.process.settings import Settings
from entrypoints.process.storage import existing, storage


def rebuild_alarms(
    settings: Settings,
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; print the rows that differ.")
    ] = False,
    newest: Annotated[
        bool,
        typer.Option(
            "--newest",
            help="Trust each alarm's newest snapshot instead of folding all its events: much faster.",
        ),
    ] = False,
) -> None:
    """Rebuild the alarm list from the log, beside the live one, and swap it in."""
    if check and newest:
        raise typer.BadParameter("--check folds all events; it does not go with --newest")
    finish(check_list(settings, out) if check else replay_list(settings, out, newest=newest))


def rebuild_kpis(settings: Settings) -> None:
    """Rebuild the key figures from the log, beside the live ones, and swap them in."""
    finish(replay_figures(settings, out))


async def replay_list(settings: Settings, console: Console, *, newest: bool = False) -> int:
    """Rebuild the alarm list from the log; return the exit code, 0."""
    async with storage(settings) as store:
        model = AlarmModel(store.alarms, store.checkpoints, store.rebuild)
        with progress_on(console) as progress:
            position = await replay_alarms(store.log, model, store.leases, holder(), progress, newest=newest)
    console.print(f"the alarm list as of position {position:,}: swapped in")
    return 0


async def replay_figures(settings: Settings, console: Console) -> int:
    """Rebuild the key figures from the log; return the exit code, 0."""
    async with storage(settings) as store:
        model = KpiModel(store.kpis, store.checkpoints)
        with progress_on(console) as progress:
            position = await replay_kpis(store.log, model, store.leases, holder(), progress)
    console.print(f"the key figures as of position {position:,}: swapped in")
    return 0


async def check_list(settings: Settings, console: Console) -> int:
    """Compare the alarm list with the log; return the exit code: 1 if any row differs."""
    count = 0
    async with existing(settings) as store:
        model = AlarmModel(store.alarms, store.checkpoints, store.rebuild)
        with progress_on(console) as progress:
            async for difference in check_alarms(store.log, model, progress):
                count += 1
                if count <= SHOWN:
                    _print_difference(difference, console)
    console.print("the alarm list matches the log" if count == 0 else f"{count:,} rows differ")
    return 1 if count else 0


def _print_difference(difference: Difference, console: Console) -> None:
    say(console, f"{difference.alarm_id}: {difference.kind}")
    for name, (expected, found) in difference.fields.items():
        say(console, f"    {name}: is {found!r}, should be {expected!r}")

"""`tocsin whatif`: compares a period's key figures with those that other rules would have given."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from core.access.callers import DEFAULT_TENANT
from core.alarm.alarm import SEVERITY_RANK, Severity
from core.application.replay.whatif import Comparison, DatedLog, compared
from core.errors import StartupRefused, TocsinError
from core.kpi.figures import Kpi
from core.kpi.rules import Rules
from entrypoints.cli.parameters import Json, Tenant
from entrypoints.cli.printing import out, write_json
from entrypoints.cli.runner import refused, run
from entrypoints.process.settings import Settings
from entrypoints.process.storage import existing

TIMES = ["%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d"]
"""The formats of a time; all are UTC."""


def whatif(  # noqa: PLR0917
    settings: Settings,
    since: Annotated[
        datetime | None, typer.Option("--from", formats=TIMES, help="UTC; default: a day before --to.")
    ] = None,
    to: Annotated[datetime | None, typer.Option(formats=TIMES, help="UTC; default: now.")] = None,
    on_delay: Annotated[
        float, typer.Option(min=0, help="Seconds that a condition must hold to be annunciated.")
    ] = 0.0,
    off_delay: Annotated[
        float, typer.Option(min=0, help="Seconds within which a returning condition counts as never gone.")
    ] = 0.0,
    deadband: Annotated[
        float, typer.Option(min=0, help="Seconds within which an alarm is not annunciated again.")
    ] = 0.0,
    shelve: Annotated[
        list[str] | None, typer.Option(help="A source to shelve, or PREFIX/*; may be repeated.")
    ] = None,
    severity: Annotated[
        list[str] | None,
        typer.Option(help="TYPE=SEVERITY sets the severity of a type; may be repeated."),
    ] = None,
    tenant: Tenant = DEFAULT_TENANT,
    json: Json = False,
) -> None:
    """Show what a period's key figures would have been under other rules. Nothing is written."""
    until = to.replace(tzinfo=UTC) if to is not None else datetime.now(UTC)
    begin = since.replace(tzinfo=UTC) if since is not None else until - timedelta(days=1)
    try:
        rules = Rules(
            on_delay=on_delay,
            off_delay=off_delay,
            deadband=deadband,
            shelved=frozenset(shelve or ()),
            severities=severities_of(severity or ()),
        )
    except TocsinError as error:
        raise refused(error) from None
    run(show_whatif(settings, tenant, (begin, until), rules, out, as_json=json))


async def show_whatif(
    settings: Settings,
    tenant: str,
    period: tuple[datetime, datetime],
    rules: Rules,
    console: Console,
    *,
    as_json: bool,
) -> None:
    """Print the tenant's figures before and after. Raises StartupRefused, Unavailable."""
    async with existing(settings) as store:
        found = await compared(DatedLog(store.log, store.history), tenant, *period, rules)
    if as_json:
        write_json(console, found)
    else:
        console.print(table(found))


def table(found: Comparison) -> Table:
    """Return the figures side by side, with their targets."""
    shown = Table(title="Key figures (IEC 62682)", title_justify="left")
    shown.add_column("")
    for heading in ("as it was", "under the rules", "target"):
        shown.add_column(heading, justify="right")
    for before, after in zip(found.before.kpis, found.after.kpis, strict=True):
        shown.add_row(before.title, _shown(before), _shown(after), _target(before))
    return shown


def severities_of(given: Sequence[str]) -> dict[str, Severity]:
    """Parse texts of the form TYPE=SEVERITY. Raises StartupRefused."""
    severities: dict[str, Severity] = {}
    for each in given:
        kind, _, name = each.rpartition("=")
        severity = next((severity for severity in SEVERITY_RANK if severity == name), None)
        if not kind or severity is None:
            known = ", ".join(SEVERITY_RANK)
            raise StartupRefused(f"--severity takes TYPE=SEVERITY, one of {known}; not {each!r}")
        severities[kind] = severity
    return severities


def _shown(kpi: Kpi) -> str:
    mark = "" if kpi.met is None or kpi.met else " (!)"
    return f"{_value(kpi.value, kpi.unit)}{mark}"


def _target(kpi: Kpi) -> str:
    if kpi.target is None:
        return ""
    relation = ">=" if kpi.name == "priority_low" else "<="
    return f"{relation} {_value(kpi.target, kpi.unit)}"


def _value(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    match unit:
        case "share":
            return f"{value:.1%}"
        case "s":
            return f"{value:,.0f} s"
        case _:
            return f"{value:,.1f}".removesuffix(".0")

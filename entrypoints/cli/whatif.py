"""`tocsin whatif`: a period's key figures as they were, and as they would have been under other rules."""

from collections.abc import Sequence
from datetime import datetime

import msgspec
from rich.console import Console
from rich.table import Table

from core.alarm.alarm import SEVERITY_RANK, Severity
from core.application.replay.whatif import Comparison, compared
from core.errors import StartupRefused
from core.kpi.figures import Kpi
from core.kpi.rules import Rules
from entrypoints.process.storage import record


async def show_whatif(
    of: tuple[str, str, str], period: tuple[datetime, datetime], rules: Rules, out: Console, *, as_json: bool
) -> int:
    """Print the figures before and after; return the exit code, 0. `of`: MongoDB's URI, database, tenant."""
    uri, database, tenant = of
    async with record(uri, database) as log:
        found = await compared(log, tenant, *period, rules)
    if as_json:
        out.file.write(msgspec.json.encode(found).decode() + "\n")
    else:
        out.print(table(found))
    return 0


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
    """Read what was given as TYPE=SEVERITY. Raises StartupRefused."""
    found: dict[str, Severity] = {}
    for each in given:
        kind, _, name = each.rpartition("=")
        severity = next((severity for severity in SEVERITY_RANK if severity == name), None)
        if not kind or severity is None:
            known = ", ".join(SEVERITY_RANK)
            raise StartupRefused(f"--severity takes TYPE=SEVERITY, one of {known}; not {each!r}")
        found[kind] = severity
    return found


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

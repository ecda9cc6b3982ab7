"""`tocsin outbox list | retry`: lists undelivered rows, and sends dead ones again."""

from collections.abc import Sequence
from typing import Annotated, get_args

import typer
from rich.console import Console

from core.access.callers import DEFAULT_TENANT
from core.application.webhooks.administration import WebhookAdministration
from core.errors import Conflict, UnknownRow
from core.outbox.ports import OutboxQuery
from core.outbox.row import RowState, parse_row_id
from entrypoints.cli.parameters import Tenant
from entrypoints.cli.printing import out, say
from entrypoints.cli.runner import finish, run
from entrypoints.process.compose import retrying
from entrypoints.process.settings import Settings
from entrypoints.process.storage import existing, storage

UNDELIVERED: frozenset[RowState] = frozenset(get_args(RowState)) - {"delivered"}
OfWebhook = Annotated[str | None, typer.Option("--webhook", help="Only rows of this webhook.")]


def list_outbox(
    settings: Settings,
    state: Annotated[RowState | None, typer.Option(help="Default: rows that are not delivered.")] = None,
    webhook: OfWebhook = None,
    tenant: Tenant = DEFAULT_TENANT,
    limit: Annotated[int, typer.Option(help="The most rows to list.", min=1, max=1_000)] = 100,
) -> None:
    """List pending and dead rows, the oldest first."""
    states = UNDELIVERED if state is None else frozenset({state})
    run(list_rows(settings, OutboxQuery(tenant=tenant, states=states, webhook=webhook, limit=limit), out))


def retry_outbox(
    settings: Settings,
    rows: Annotated[list[str] | None, typer.Argument(help="Ids of dead rows; or give --all.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every dead row.")] = False,
    webhook: OfWebhook = None,
    tenant: Tenant = DEFAULT_TENANT,
) -> None:
    """Send dead rows again."""
    if bool(rows) == every:
        raise typer.BadParameter("give either ids of rows or --all")
    finish(retry_rows(settings, tenant, rows or (), webhook, out))


async def list_rows(settings: Settings, query: OutboxQuery, console: Console) -> None:
    """Print rows, the oldest first. Raises StartupRefused, Unavailable."""
    async with existing(settings) as store:
        rows = await store.outbox.page(query)
    for row in rows:
        due = f", next try {row.next_at.isoformat(timespec='seconds')}" if row.state == "pending" else ""
        tried = f", {row.attempts} tries{due}" + (f": {row.error}" if row.error else "")
        say(console, f"{row.id}  {row.type}  alarm {row.alarm_id}  {row.state}{tried}")
    if not rows:
        say(console, "no rows")


async def retry_rows(
    settings: Settings, tenant: str, rows: Sequence[str], webhook: str | None, console: Console
) -> int:
    """Make `rows`, or if empty all dead rows, pending again; return the exit code: 1 if any was refused."""
    async with storage(settings) as store, retrying(store) as service:
        if rows:
            return max([await _retry(service, tenant, row, console) for row in rows])
        retried, overtaken = await _retry_all(service, tenant, webhook)
    console.print(f"rows pending again: {retried:,}")
    if overtaken:
        console.print(f"rows overtaken by later ones: {overtaken:,}")
    return 0


async def _retry(service: WebhookAdministration, tenant: str, row_id: str, console: Console) -> int:
    try:
        await service.retry(tenant, row_id)
    except (UnknownRow, Conflict) as error:
        say(console, f"{row_id}: {error if str(error) else 'there is no such row'}")
        return 1
    say(console, f"{row_id}: pending again")
    return 0


async def _retry_all(service: WebhookAdministration, tenant: str, webhook: str | None) -> tuple[int, int]:
    retried = overtaken = 0
    after: tuple[int, str] | None = None
    while True:
        done = await service.retry_all(tenant, webhook, after)
        retried, overtaken = retried + done.retried, overtaken + done.overtaken
        if done.next is None:
            return retried, overtaken
        after = parse_row_id(done.next)

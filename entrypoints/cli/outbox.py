"""`tocsin outbox list | retry`: undelivered rows in a terminal."""

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import get_args

from rich.console import Console

from adapters.webhook.sender import HttpSender
from core.application.webhooks.service import Outgoing
from core.errors import Conflict, StartupRefused, UnknownRow
from core.outbox.ports import OutboxQuery
from core.outbox.row import RowState, parse_row_id
from entrypoints.process.compose import outgoing
from entrypoints.process.settings import Settings
from entrypoints.process.storage import Storage, storage

UNDELIVERED: frozenset[RowState] = frozenset(get_args(RowState)) - {"delivered"}


async def list_rows(settings: Settings, query: OutboxQuery, out: Console) -> None:
    """Print rows, the oldest first. Raises StartupRefused, Unavailable."""
    async with _storage(settings) as store:
        rows = await store.outbox.page(query)
    for row in rows:
        due = f", next try {row.next_at.isoformat(timespec='seconds')}" if row.state == "pending" else ""
        tried = f", {row.attempts} tries{due}" + (f": {row.error}" if row.error else "")
        _say(out, f"{row.id}  {row.type}  alarm {row.alarm_id}  {row.state}{tried}")
    if not rows:
        _say(out, "there is nothing")


async def retry_rows(
    settings: Settings, tenant: str, rows: Sequence[str], webhook: str | None, out: Console
) -> int:
    """Make the rows, or without any all dead ones, pending again; return the exit code: 1 if one was not."""
    async with _outgoing(settings) as asked:
        if rows:
            return max([await _retry(asked, tenant, row, out) for row in rows])
        retried, overtaken = await _retry_all(asked, tenant, webhook)
    out.print(f"{retried:,} rows are pending again")
    if overtaken:
        out.print(f"{overtaken:,} are not: later ones have overtaken them")
    return 0


async def _retry(asked: Outgoing, tenant: str, row_id: str, out: Console) -> int:
    try:
        await asked.retry(tenant, row_id)
    except (UnknownRow, Conflict) as error:
        _say(out, f"{row_id}: {error if str(error) else 'there is no such row'}")
        return 1
    _say(out, f"{row_id}: pending again")
    return 0


async def _retry_all(asked: Outgoing, tenant: str, webhook: str | None) -> tuple[int, int]:
    retried = overtaken = 0
    after: tuple[int, str] | None = None
    while True:
        done = await asked.retry_all(tenant, webhook, after)
        retried, overtaken = retried + done.retried, overtaken + done.overtaken
        if done.next is None:
            return retried, overtaken
        after = parse_row_id(done.next)


def _say(out: Console, line: str) -> None:
    # An id may look like the name of an emoji, and has to stay whole to be of use.
    out.print(line, markup=False, emoji=False, soft_wrap=True)


@asynccontextmanager
async def _outgoing(settings: Settings) -> AsyncIterator[Outgoing]:
    async with _storage(settings) as store, aclosing(HttpSender()) as sender:
        if store.link.kind == "local":
            raise StartupRefused(
                "on a standalone mongod without Redis only the server's own process would hear of it:"
                " use POST /v1/outbox/retry"
            )
        yield outgoing(store, sender)


@asynccontextmanager
async def _storage(settings: Settings) -> AsyncIterator[Storage]:
    chosen = (settings.mongodb_uri, settings.database, settings.feed, settings.redis_url)
    async with storage(*chosen) as store:
        yield store

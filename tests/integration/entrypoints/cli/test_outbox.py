"""The outbox in a terminal: rows are listed, and made pending again."""

from datetime import UTC, datetime
from io import StringIO

from msgspec.structs import replace
from rich.console import Console

from adapters.mongo.client import Database
from adapters.mongo.log.log import MongoLog
from adapters.mongo.outbox.outbox import MongoOutbox
from adapters.mongo.outbox.webhooks import MongoWebhooks
from core.outbox.ports import OutboxQuery
from core.outbox.row import Settlement
from entrypoints.cli.outbox import UNDELIVERED, list_rows, retry_rows
from entrypoints.process.settings import Settings
from tests.kit.outgoing import row, webhook


async def test_rows_are_listed_and_retried_in_a_terminal(
    connected: Database, mongodb_uri: str, database: str
) -> None:
    out = Console(file=StringIO(), width=40)
    settings = Settings(mongodb_uri=mongodb_uri, database=database)
    query = OutboxQuery(tenant="default", states=UNDELIVERED)
    webhooks, outbox = MongoWebhooks(connected), MongoOutbox(connected)
    await MongoLog(connected).create()
    await webhooks.create()
    await outbox.create()
    await webhooks.add(webhook())
    await outbox.add([row(1), row(2)])
    failed = replace(row(1), state="dead", attempts=10, settled_at=datetime.now(UTC), error="HTTP 500")
    await outbox.settle([Settlement(failed)])
    await list_rows(settings, query, out)
    assert await retry_rows(settings, "default", ["1:hook", "9:x:"], None, out) == 1
    assert await retry_rows(settings, "default", [], None, out) == 0
    assert isinstance(out.file, StringIO)
    lines = out.file.getvalue().splitlines()
    assert lines[0] == "1:hook  alarm.raised  alarm a  dead, 10 tries: HTTP 500"
    assert lines[1].startswith(
        "2:hook  alarm.raised  alarm a  pending, 0 tries, next try 2026-01-01T12:00:00"
    )
    assert lines[2:] == ["1:hook: pending again", "9:x:: there is no such row", "rows pending again: 0"]

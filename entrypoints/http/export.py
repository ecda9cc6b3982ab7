"""Writes the alarm list as CSV (RFC 4180) or NDJSON, page by page."""

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Literal

import msgspec
from msgspec.structs import replace

from core.alarm.alarm import Alarm
from core.lists.query import AlarmPage, AlarmQuery

SLICE = 50
"""How many rows are written at once: about 2 ms."""
COLUMNS = Alarm.__struct_fields__

# A spreadsheet takes a cell that begins like this for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_encoder = msgspec.json.Encoder()


class Export(msgspec.Struct, frozen=True):
    """A format: its media type, the head of its files, and the writer of their rows."""

    media_type: str
    head: bytes
    rows: Callable[[Sequence[Alarm]], bytes]


async def exported(
    export: Export, query: AlarmQuery, page: AlarmPage, pages: Callable[[AlarmQuery], Awaitable[AlarmPage]]
) -> AsyncIterator[bytes]:
    """Yield the file; `page` is the query's first page. An error of `pages` breaks the file off."""
    yield export.head
    while True:
        for first in range(0, len(page.alarms), SLICE):
            yield export.rows(page.alarms[first : first + SLICE])
            # Sending does not wait as long as the client reads, so give others their turn.
            await asyncio.sleep(0)
        if page.next is None:
            return
        page = await pages(replace(query, after=page.next))


def csv_rows(alarms: Sequence[Alarm]) -> bytes:
    """Return a line for each alarm; labels, details and origins are JSON, unset fields are empty."""
    fields = [msgspec.to_builtins(alarm) for alarm in alarms]
    return _lines([[_cell(row[column]) for column in COLUMNS] for row in fields])


def ndjson_rows(alarms: Sequence[Alarm]) -> bytes:
    """Return a line of JSON for each alarm."""
    return _encoder.encode_lines(alarms)


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case str():
            return f"'{value}" if value.startswith(_FORMULA) else value
        case dict():
            return _encoder.encode(value).decode()
        case _:
            return str(value)


def _lines(rows: Sequence[Sequence[str]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue().encode()


EXPORTS: dict[Literal["csv", "ndjson"], Export] = {
    "csv": Export("text/csv; charset=utf-8; header=present", _lines([COLUMNS]), csv_rows),
    "ndjson": Export("application/x-ndjson", b"", ndjson_rows),
}

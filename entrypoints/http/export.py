"""Writes the alarm list as CSV (RFC 4180) or NDJSON, page by page."""

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Literal

import msgspec
from msgspec.structs import replace

from core.alarm.alarm import Alarm
from core.lists.query import AlarmPage, AlarmQuery, Place

SLICE = 50
"""How many rows are written at once: about 2 ms."""
COLUMNS = Alarm.__struct_fields__

FIRST_ROWS = 100
"""How many rows an export reads first; as many as fit a page later."""
PAGE_BYTES = 512 * 1024
"""How many bytes of a file wait for its client, besides one row and what the socket holds."""
PIECE_BYTES = 64 * 1024
"""How many bytes are handed to the socket at once."""

# A spreadsheet takes a cell that begins like this for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_encoder = msgspec.json.Encoder()


class Export(msgspec.Struct, frozen=True):
    """A format: its media type, the head of its files, and the writer of their rows."""

    media_type: str
    head: bytes
    rows: Callable[[Sequence[Alarm]], bytes]


class WrittenPage(msgspec.Struct, frozen=True):
    """A part of the file, and the place after which the next part starts (None: it is the last one)."""

    data: bytes
    next: Place | None


class PageWriter:
    """Reads a list page by page and writes its rows, as many as fit PAGE_BYTES at a time."""

    def __init__(self, export: Export, pages: Callable[[AlarmQuery], Awaitable[AlarmPage]]) -> None:
        self._export = export
        self._pages = pages
        self._rows = FIRST_ROWS

    async def page(self, query: AlarmQuery) -> WrittenPage:
        """Return the page after the query's place, of at most the query's limit of rows."""
        found = await self._pages(replace(query, limit=min(self._rows, query.limit)))
        parts = await self._written(found.alarms)
        self._rows = 2 * max(len(parts), 1)
        cut = len(parts) < len(found.alarms)
        following = query.order.place(found.alarms[len(parts) - 1]) if cut else found.next
        return WrittenPage(b"".join(parts), following)

    async def _written(self, alarms: Sequence[Alarm]) -> Sequence[bytes]:
        """Return rows, up to the first that goes beyond PAGE_BYTES."""
        rows: list[bytes] = []
        size = 0
        for alarm in alarms:
            rows.append(self._export.rows([alarm]))
            size += len(rows[-1])
            if size >= PAGE_BYTES:
                break
            if len(rows) % SLICE == 0:
                await asyncio.sleep(0)
        return rows


async def exported(
    export: Export,
    later: Callable[[AlarmQuery], Awaitable[WrittenPage]],
    query: AlarmQuery,
    page: WrittenPage,
) -> AsyncIterator[bytes]:
    """Yield the file; `page` is the query's first page, `later` returns the others.

    An error in reading breaks the file off.
    """
    yield export.head
    while True:
        data, following = page.data, page.next
        for start in range(0, len(data), PIECE_BYTES):
            yield data[start : start + PIECE_BYTES]
        if following is None:
            return
        # While the next page waits for its turn, none is kept.
        del data, page
        page = await later(replace(query, after=following))


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

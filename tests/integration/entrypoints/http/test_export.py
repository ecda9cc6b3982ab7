"""An export's pages: bounded in bytes, whatever the rows' sizes, and nothing is lost between them."""

from collections.abc import Sequence

from msgspec.structs import replace

from core.alarm.alarm import Alarm
from core.lists.query import AlarmPage, AlarmQuery, page_of, within
from entrypoints.http.export import EXPORTS, FIRST_ROWS, PAGE_BYTES, PIECE_BYTES, PageWriter, exported

ROW_BYTES = 40_000
QUERY = AlarmQuery(tenant="default", sort="source", limit=1_000)


def alarms(count: int, size: int) -> list[Alarm]:
    return [
        Alarm(
            id=f"{number:04}",
            tenant="default",
            source=f"{number:04}",
            type="t",
            qualifier="",
            text="x" * size,
        )
        for number in range(count)
    ]


class Reader:
    """Reads pages of the rows, and keeps how many rows were asked for."""

    def __init__(self, rows: Sequence[Alarm]) -> None:
        self.rows = rows
        self.asked: list[int] = []

    async def __call__(self, query: AlarmQuery) -> AlarmPage:
        self.asked.append(query.limit)
        after = query.after or ()
        left = [row for row in self.rows if query.order.place(row) > after]
        return page_of(query, left)


async def test_a_page_has_as_many_rows_as_fit_its_bytes() -> None:
    reader = Reader(alarms(200, ROW_BYTES))
    writer = PageWriter(EXPORTS["ndjson"], reader)
    pieces = [
        piece async for piece in exported(EXPORTS["ndjson"], writer.page, QUERY, await writer.page(QUERY))
    ]
    assert b"".join(pieces) == EXPORTS["ndjson"].rows(reader.rows)
    assert max(map(len, pieces)) <= PIECE_BYTES
    page = await PageWriter(EXPORTS["ndjson"], reader).page(QUERY)
    assert PAGE_BYTES <= len(page.data) <= PAGE_BYTES + ROW_BYTES + 2_000
    # Hardly more rows are read than are written.
    assert reader.asked[0] == reader.asked[-1] == FIRST_ROWS
    assert max(reader.asked[1:-1]) <= 2 * (PAGE_BYTES // ROW_BYTES + 1)


async def test_small_rows_come_by_the_thousand() -> None:
    reader = Reader(alarms(3_000, 1))
    writer = PageWriter(EXPORTS["csv"], reader)
    pieces = [piece async for piece in exported(EXPORTS["csv"], writer.page, QUERY, await writer.page(QUERY))]
    assert b"".join(pieces).count(b"\r\n") == 1 + len(reader.rows)
    assert len(reader.asked) < 12


async def test_rows_that_do_not_fit_an_answer_come_on_the_next_page() -> None:
    reader = Reader(alarms(20, ROW_BYTES))
    query, listed = replace(QUERY, limit=20), list[Alarm]()
    while True:
        page = within(query, await reader(query), 5 * ROW_BYTES)
        assert len(page.alarms) <= 5
        listed += page.alarms
        if page.next is None:
            break
        query = replace(query, after=page.next)
    assert listed == reader.rows
    assert within(query, AlarmPage(reader.rows[:1], None), 1).alarms == reader.rows[:1]

"""A search of the list as it stood once: the server sends few rows that the page has no use for."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from pymongo import monitoring

from adapters.mongo.alarms.history import BATCH_ROWS, MongoAlarmHistory
from adapters.mongo.client import connect
from adapters.mongo.codec import event_document
from adapters.mongo.log.store import EVENTS, EventStore
from core.lists.query import AlarmQuery, sought
from tests.kit.history import History

ALARMS = 3 * BATCH_ROWS
TEXTS = ["Überdruck at the boiler", "pressure at the boiler", "bar_level of the boiler"]
"""Every third alarm has a letter beyond ASCII."""


class Answers(monitoring.CommandListener):
    """Counts the rows that the server sends in answer to an aggregation, and the cursors that are closed."""

    def __init__(self) -> None:
        self.rows = 0
        self.closed = 0

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        self.closed += event.command_name == "killCursors"

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        if event.command_name in ("aggregate", "getMore"):
            cursor = event.reply["cursor"]
            rows = cursor.get("firstBatch", cursor.get("nextBatch"))
            # The page's alarms are read again, whole and with their version.
            self.rows += sum("v" not in row for row in rows)

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        """Do nothing."""


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest_asyncio.fixture
async def history(mongodb_uri: str, database: str, answers: Answers) -> AsyncIterator[MongoAlarmHistory]:
    connected = connect(mongodb_uri, database, [answers])
    made = History()
    for number in range(ALARMS):
        made.raised(f"plant/{number:04d}", text=TEXTS[number % len(TEXTS)])
    await EventStore(connected).create_indexes()
    await connected[EVENTS].insert_many([event_document(event) for event in made.events])
    answers.rows = 0
    yield MongoAlarmHistory(connected)
    connected.client.close()


async def found(history: MongoAlarmHistory, text: str, limit: int = 1_000) -> int:
    query = AlarmQuery(tenant="default", words=sought(text), limit=limit)
    return len((await history.page(query, ALARMS)).alarms)


@pytest.mark.parametrize(
    ("text", "matching", "sent"),
    [
        ("nothing-like-it", 0, ALARMS // 3),
        ("essure", 0, ALARMS // 3),
        ("LEVEL bar", ALARMS // 3, 2 * ALARMS // 3),
        ("überdruck", ALARMS // 3, ALARMS // 3),
    ],
)
async def test_only_rows_that_may_have_the_words_are_sent(
    history: MongoAlarmHistory, answers: Answers, text: str, matching: int, sent: int
) -> None:
    assert await found(history, text) == matching
    assert answers.rows == sent


async def test_a_page_that_is_full_ends_the_search(history: MongoAlarmHistory, answers: Answers) -> None:
    assert await found(history, "boiler", limit=10) == 10
    assert (answers.rows, answers.closed) == (BATCH_ROWS, 1)

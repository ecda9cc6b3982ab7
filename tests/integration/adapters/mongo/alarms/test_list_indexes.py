"""Each documented combination of filter and sort reads its page in order from an index.

20,000 rows; as many as TOCSIN_TEST_ROWS says, for a closer look (200,000 take a minute to load).
"""

import os
import random
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, get_args

import pytest_asyncio
from msgspec.structs import replace

from adapters.mongo.alarms.alarm_list import ALARMS, INDEXES, MongoAlarmList
from adapters.mongo.alarms.list_queries import hint, parts, row_document
from adapters.mongo.client import Database
from core.alarm.alarm import Alarm, Severity, State
from core.lists.query import AlarmQuery, Place, Sort
from tests.kit.history import BEGINNING

ROWS = int(os.environ.get("TOCSIN_TEST_ROWS", "20000"))
LIMIT = 50
SORTS: tuple[Sort, ...] = get_args(Sort)


def only(*values: Any) -> frozenset[Any]:
    return frozenset(values)


RANKS: list[dict[str, Any]] = [
    {},
    {"states": only("unacked")},
    {"states": only("unacked", "shelved")},
    {"states": only(*get_args(State))},
    {"severities": only("critical", "major")},
    {"states": only("unacked", "acked"), "severities": only("critical", "minor")},
]
NARROWED: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({}, ("state", "severity", "raised_at", "updated_at", "source", "type", "occurrence")),
    ({"sources": only("site-3/line-3")}, ("state", "severity", "raised_at", "source")),
    ({"sources": only("site-3/line-3", "site-4/line-4")}, ("state", "severity", "raised_at")),
    ({"sources": only("site-3/*")}, ("source",)),
    ({"types": only("type-7")}, ("state", "severity", "raised_at", "type")),
    ({"types": only("type-7", "type-9")}, ("state", "severity", "raised_at")),
]

FOUND: list[dict[str, Any]] = [
    {"sources": only("site-3/*")},
    {"labels": {"site": "s3"}},
    {"words": only("4321")},
    {"assignees": only("nobody")},
]


def alarm(number: int) -> Alarm:
    chance = random.Random(number)
    return Alarm(
        id=f"{chance.randrange(2**64):016x}",
        tenant="default",
        source=f"site-{number % 20}/line-{number % 40}",
        type=f"type-{number % 50}",
        qualifier=str(number),
        severity=chance.choice(get_args(Severity)),
        state=chance.choice(get_args(State)),
        text=f"Pressure {number} is over the limit",
        labels={"site": f"s{number % 20}"},
        raised_at=BEGINNING + timedelta(milliseconds=chance.randrange(10**8)),
        occurrence=chance.randrange(100),
        position=number + 1,
    )


@pytest_asyncio.fixture
async def alarms(connected: Database) -> AsyncIterator[MongoAlarmList]:
    made = MongoAlarmList(connected)
    for first in range(0, ROWS, 2_000):
        rows = [row_document(alarm(number)) for number in range(first, min(ROWS, first + 2_000))]
        await connected[ALARMS].insert_many(rows, ordered=False)
    # One by one: together they take longer than one command may, once there are many rows.
    for index in INDEXES:
        await connected[ALARMS].create_indexes([index])
    await made.create()
    yield made


async def test_every_documented_combination_is_read_from_its_index(
    alarms: MongoAlarmList, connected: Database
) -> None:
    asked = 0
    for narrowed, sorts in NARROWED:
        for ranks in RANKS:
            for sort in (each for each in SORTS if each.removeprefix("-") in sorts):
                query = AlarmQuery(tenant="default", sort=sort, limit=LIMIT, **narrowed, **ranks)
                page = await alarms.page(query)
                await _check(connected, query, None)
                if page.next is not None:
                    await _check(connected, query, page.next)
                    asked += 1
    assert asked > 200
    for sought in FOUND:
        for part in parts(AlarmQuery(tenant="default", limit=LIMIT, **sought)):
            plan = await _explained(connected, part.condition, part.ordering, None)
            assert "COLLSCAN" not in str(plan["queryPlanner"]["winningPlan"])
            assert plan["executionStats"]["totalDocsExamined"] <= ROWS / 10


async def _check(connected: Database, query: AlarmQuery, after: Place | None) -> None:
    for part in parts(replace(query, after=after)):
        plan = await _explained(connected, part.condition, part.ordering, hint(query))
        stages = str(plan["queryPlanner"]["winningPlan"])
        assert hint(query) is not None, query
        assert "COLLSCAN" not in stages, (query, part)
        assert "'SORT'" not in stages, (query, part)
        assert plan["executionStats"]["totalDocsExamined"] <= LIMIT + 1, (query, part)


async def _explained(connected: Database, condition: Any, ordering: Any, index: str | None) -> dict[str, Any]:
    find = {"find": ALARMS, "filter": condition, "sort": dict(ordering), "limit": LIMIT + 1}
    if index is not None:
        find["hint"] = index
    explained: dict[str, Any] = await connected.command({"explain": find, "verbosity": "executionStats"})
    return explained


async def test_rows_of_another_layout_are_written_again_at_the_start(connected: Database) -> None:
    made = MongoAlarmList(connected)
    rows = [row_document(alarm(number)) for number in range(1_200)]
    for row in rows:
        del row["keys"]
    await connected[ALARMS].insert_many(rows)
    await made.create()
    page = await made.page(AlarmQuery(tenant="default", states=only(*get_args(State)), limit=2_000))
    assert len(page.alarms) == 1_200


async def test_a_start_looks_at_no_row_of_the_present_layout(connected: Database) -> None:
    made = MongoAlarmList(connected)
    await made.create()
    await connected[ALARMS].insert_many([row_document(alarm(number)) for number in range(500)])
    await connected.command("profile", 2)
    await made.create()
    await connected.command("profile", 0)
    finds = await connected["system.profile"].find({"command.find": ALARMS}).to_list()
    assert [(each["docsExamined"], each["keysExamined"]) for each in finds] == [(0, finds[0]["keysExamined"])]
    assert finds[0]["keysExamined"] <= 2
    assert "IXSCAN" in finds[0]["planSummary"]

"""In memory and on MongoDB a list has the same rows on the same pages, now and as of any position."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from itertools import product
from typing import get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.memory.alarms import MemoryAlarmList
from adapters.memory.history import MemoryAlarmHistory, newest_rows
from adapters.memory.log import Events
from adapters.mongo.alarms.alarm_list import MongoAlarmList
from adapters.mongo.alarms.history import MongoAlarmHistory
from adapters.mongo.client import connect
from adapters.mongo.codec import event_document
from adapters.mongo.log.store import EventStore
from core.lists.query import AlarmQuery, Sort, is_after, matches
from tests.contract.lists.listings import AREAS, made, queries, walked
from tests.kit.history import BEGINNING, History

EVENTS = made(600, streams=150)


class Both:
    """The same alarms twice: in memory, and on MongoDB."""

    def __init__(self, uri: str, database: str) -> None:
        events = Events()
        for event in EVENTS:
            events.add(event)
        self.memory = MemoryAlarmList()
        self.memory_history = MemoryAlarmHistory(events)
        self.connection = connect(uri, database)
        self.mongo = MongoAlarmList(self.connection)
        self.mongo_history = MongoAlarmHistory(self.connection)

    async def fill(self) -> None:
        await self.mongo.create()
        await EventStore(self.connection).create_indexes()
        await self.connection["events"].insert_many([event_document(event) for event in EVENTS])
        for alarms in (self.memory, self.mongo):
            await alarms.write(newest_rows(EVENTS))


@pytest.fixture
def run() -> Iterator[Callable[[Awaitable[None]], None]]:
    with asyncio.Runner() as runner:

        async def awaited(work: Awaitable[None]) -> None:
            await work

        yield lambda work: runner.run(awaited(work))


@pytest.fixture
def both(mongodb_uri: str, database: str, run: Callable[[Awaitable[None]], None]) -> Iterator[Both]:
    made_both: list[Both] = []

    async def begin() -> None:
        # The driver belongs to the loop it is made on.
        made_both.append(Both(mongodb_uri, database))
        await made_both[0].fill()

    run(begin())
    yield made_both[0]
    made_both[0].connection.client.close()


def test_a_list_is_the_same_in_memory_and_on_mongodb(
    both: Both, run: Callable[[Awaitable[None]], None]
) -> None:
    rows = newest_rows(EVENTS).values()

    @settings(suppress_health_check=list(HealthCheck))
    @given(queries)
    def agree(query: AlarmQuery) -> None:
        async def compared() -> None:
            pages = await walked(both.memory.page, query)
            assert await walked(both.mongo.page, query) == pages
            listed = [row for page in pages for row in page]
            assert {row.id for row in listed} == {row.id for row in rows if matches(query, row)}
            assert len(listed) == len({row.id for row in listed})

        run(compared())

    agree()


def test_every_prefix_in_every_order_is_the_same_in_memory_and_on_mongodb(
    both: Both, run: Callable[[Awaitable[None]], None]
) -> None:
    async def compared() -> None:
        for area, sort in product(AREAS, get_args(Sort)):
            query = AlarmQuery(tenant="default", sources=frozenset({area}), sort=sort, limit=20)
            pages = await walked(both.memory.page, query)
            assert await walked(both.mongo.page, query) == pages

    run(compared())


def test_a_list_as_of_a_position_is_the_same_in_memory_and_on_mongodb(
    both: Both, run: Callable[[Awaitable[None]], None]
) -> None:
    @settings(suppress_health_check=list(HealthCheck))
    @given(queries, st.integers(0, len(EVENTS) + 1))
    def agree(query: AlarmQuery, position: int) -> None:
        async def compared() -> None:
            pages = await walked(lambda each: both.memory_history.page(each, position), query)
            assert await walked(lambda each: both.mongo_history.page(each, position), query) == pages

        run(compared())

    agree()


def test_the_past_of_one_alarm_is_the_same_in_memory_and_on_mongodb(
    both: Both, run: Callable[[Awaitable[None]], None]
) -> None:
    async def compared() -> None:
        for event in EVENTS[:300:7]:
            for tenant in ("default", "other"):
                for position in (0, event.position - 1, event.position, event.position + 40):
                    asked = (tenant, event.stream, position)
                    assert await both.mongo_history.newest(*asked) == await both.memory_history.newest(*asked)
            for moment in (event.at, event.at - timedelta(milliseconds=1), event.at + timedelta(days=1)):
                position = await both.memory_history.position_at(moment)
                assert await both.mongo_history.position_at(moment) == position
        assert await both.mongo_history.position_at(BEGINNING - timedelta(days=1)) == 0

    run(compared())


@given(st.lists(st.tuples(st.sampled_from(["raised", "cleared", "acknowledged"]), st.integers(0, 3))))
def test_the_list_as_of_a_position_is_the_fold_up_to_it(steps: list[tuple[str, int]]) -> None:
    history, events = History(), Events()
    for command, number in steps:
        getattr(history, command)(f"line/{number}")
    for event in history.events:
        events.add(event)
    query = AlarmQuery(tenant="default", states=frozenset(("normal", "unacked", "acked", "rtn_unacked")))
    for position in range(len(history.events) + 1):
        page = asyncio.run(MemoryAlarmHistory(events).page(query, position))
        assert {alarm.id: alarm for alarm in page.alarms} == history.fold(position)


@given(queries)
def test_the_rows_after_a_row_are_those_that_follow_it_in_the_list(query: AlarmQuery) -> None:
    rows = [row for row in newest_rows(EVENTS).values() if matches(query, row)]
    rows.sort(key=query.order.place, reverse=query.order.reverse)
    for index, row in enumerate(rows[:20]):
        behind = AlarmQuery(tenant=query.tenant, sort=query.sort, after=query.order.place(row))
        assert [each.id for each in rows if is_after(behind, each)] == [each.id for each in rows[index + 1 :]]

"""What core.lists.ports.AlarmList promises, in memory and on MongoDB."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from datetime import timedelta
from math import inf
from typing import Any

import pytest
import pytest_asyncio
from msgspec.structs import replace

from adapters.memory.alarms import MemoryAlarmList
from adapters.mongo.alarms.alarm_list import ALARMS, PAGE_BYTES, MongoAlarmList
from adapters.mongo.client import Database
from adapters.mongo.wire.held_connections import HeldConnections
from core.alarm.alarm import Alarm, State
from core.lists.ports import AlarmList
from core.lists.query import STATE_ORDER, AlarmQuery
from tests.kit.history import BEGINNING, History


def by_id(rows: Iterable[Alarm]) -> dict[str, Alarm]:
    return {row.id: row for row in rows}


def plant() -> History:
    """Three sources, one alarm each: a critical one, an acknowledged one and one returned to normal."""
    history = History()
    history.raised("line/1", "minor")
    history.acknowledged("line/1")
    history.raised("line/2", "critical")
    history.raised("line/3", "major")
    history.acknowledged("line/3")
    history.cleared("line/3")
    return history


def shelved(number: int) -> dict[str, Alarm]:
    """So many timed shelves of two tenants; three each end together, so that pages part some of them."""
    return by_id(
        replace(
            Alarm.absent(f"{n % 7}-{n}"),
            tenant=("default", "other")[n % 2],
            shelving="timed",
            shelved_until=BEGINNING + timedelta(seconds=n * 31 % number // 3),
            state="shelved",
            position=1,
        )
        for n in range(number)
    )


def only(*values: Any) -> frozenset[Any]:
    return frozenset(values)


async def listed(alarms: AlarmList, query: AlarmQuery) -> list[str]:
    return [alarm.source for alarm in (await alarms.page(query)).alarms]


async def scanned(alarms: AlarmList, tenant: str | None = None) -> list[Alarm]:
    return [row async for rows in alarms.scan(tenant) for row in rows]


class AlarmListContract:
    most_bytes: float = inf
    """How many bytes of rows a page of large rows may have."""

    async def test_the_counts_are_those_of_the_rows(self, alarms: AlarmList) -> None:
        history = plant()
        await alarms.write(history.alarms)
        await alarms.write(shelved(10))
        query = AlarmQuery(tenant="default", states=frozenset(STATE_ORDER))
        counts = await alarms.counts(query, BEGINNING + timedelta(seconds=3), 10)
        assert {state: n for state, n in counts.by_state.items() if n} == {
            "acked": 1,
            "unacked": 1,
            "normal": 1,
            "shelved": 5,
        }
        assert {name: n for name, n in counts.by_severity.items() if n} == {
            "critical": 1,
            "minor": 1,
            "indeterminate": 5,
        }
        assert (counts.active, counts.stale, [alarm.source for alarm in counts.oldest]) == (2, 1, ["line/1"])
        some = AlarmQuery(tenant="default", states=frozenset(STATE_ORDER), sources=frozenset({"line/2"}))
        assert (await alarms.counts(some, BEGINNING, 10)).by_state["unacked"] == 1

    async def test_a_row_is_read_as_it_was_written(self, alarms: AlarmList) -> None:
        rows = plant().alarms
        await alarms.write(rows)
        assert by_id(await scanned(alarms)) == rows

    async def test_nothing_is_written_for_no_rows(self, alarms: AlarmList) -> None:
        await alarms.write({})
        assert await scanned(alarms) == []

    async def test_a_tenant_does_not_see_the_rows_of_another(self, alarms: AlarmList) -> None:
        await alarms.write(plant().alarms)
        assert await scanned(alarms, "other") == []

    async def test_an_older_or_equal_position_changes_nothing(self, alarms: AlarmList) -> None:
        history = plant()
        await alarms.write(history.alarms)
        await alarms.write(by_id(replace(row, text="late") for row in history.alarms.values()))
        await alarms.write(by_id(event.alarm for event in reversed(history.events)))
        assert by_id(await scanned(alarms)) == history.alarms

    async def test_newer_rows_get_through_beside_older_ones(self, alarms: AlarmList) -> None:
        history = plant()
        await alarms.write(history.alarms)
        history.cleared("line/2")
        await alarms.write({**{e.stream: e.alarm for e in history.events[:4]}, **history.alarms})
        assert by_id(await scanned(alarms)) == history.alarms

    async def test_of_two_writers_that_bring_a_new_alarm_at_once_the_newer_wins(
        self, alarms: AlarmList
    ) -> None:
        history = History()
        for number in range(200):
            history.raised(f"line/{number}")
            history.cleared(f"line/{number}")
        # Each row in a write of its own, so that the two of an alarm meet while neither is there yet.
        rows = [{event.stream: event.alarm} for event in reversed(history.events)]
        await asyncio.gather(*(alarms.write(row) for row in rows))
        assert by_id(await scanned(alarms)) == history.alarms

    async def test_the_list_leaves_out_normal_alarms_unless_asked_for(self, alarms: AlarmList) -> None:
        await alarms.write(plant().alarms)
        assert await listed(alarms, AlarmQuery(tenant="default")) == ["line/2", "line/1"]
        every = frozenset[State]({"normal", "unacked", "acked"})
        assert await listed(alarms, AlarmQuery(tenant="default", states=every)) == [
            "line/2",
            "line/1",
            "line/3",
        ]

    @pytest.mark.parametrize(
        ("query", "sources"),
        [
            (AlarmQuery(tenant="default", states=only("acked")), ["line/1"]),
            (AlarmQuery(tenant="default", states=frozenset()), []),
            (AlarmQuery(tenant="default", severities=only("critical")), ["line/2"]),
            (AlarmQuery(tenant="default", severities=only("critical", "minor")), ["line/2", "line/1"]),
            (AlarmQuery(tenant="default", severities=frozenset()), []),
            (AlarmQuery(tenant="default", sources=only("line/1")), ["line/1"]),
            (
                AlarmQuery(tenant="default", sources=only("line/1"), severities=only("critical")),
                [],
            ),
            (AlarmQuery(tenant="default", sources=only("line/3")), []),
            (
                AlarmQuery(tenant="default", sources=only("line/3"), states=only("normal")),
                ["line/3"],
            ),
            (AlarmQuery(tenant="default", types=only("pressure")), ["line/2", "line/1"]),
            (AlarmQuery(tenant="default", types=only("flow")), []),
            (AlarmQuery(tenant="other"), []),
        ],
    )
    async def test_a_row_is_listed_if_all_given_conditions_hold(
        self, alarms: AlarmList, query: AlarmQuery, sources: list[str]
    ) -> None:
        await alarms.write(plant().alarms)
        assert await listed(alarms, query) == sources

    async def test_pages_follow_each_other_without_a_gap_or_a_repeat(self, alarms: AlarmList) -> None:
        history = History()
        for number in range(10):
            history.raised(f"line/{number}")
        # Four activations within one millisecond: the id tells them apart.
        at = history.events[0].alarm.raised_at
        tied = [history.alarm_id(f"line/{number}") for number in range(4)]
        rows = {**history.alarms, **{each: replace(history.alarms[each], raised_at=at) for each in tied}}
        await alarms.write(rows)
        found: list[str] = []
        query = AlarmQuery(tenant="default", limit=3)
        while True:
            page = await alarms.page(query)
            found += [alarm.id for alarm in page.alarms]
            if page.next is None:
                break
            assert len(page.alarms) == 3
            query = AlarmQuery(tenant="default", limit=3, after=page.next)
        newest = [history.alarm_id(f"line/{number}") for number in range(9, 3, -1)]
        assert found == newest + sorted(tied)

    async def test_pages_of_large_rows_lose_none(self, alarms: AlarmList) -> None:
        history = History()
        for number in range(300):
            history.raised(f"line/{number:03}")
        await alarms.write({each.id: replace(each, text="x" * 20_000) for each in history.alarms.values()})
        states = frozenset[State]({"unacked", "acked", "normal"})
        found: list[str] = []
        query = AlarmQuery(tenant="default", limit=1_000, sort="source", states=states)
        while True:
            page = await alarms.page(query)
            found += [alarm.source for alarm in page.alarms]
            assert sum(len(alarm.text) for alarm in page.alarms) <= self.most_bytes
            if page.next is None:
                break
            query = replace(query, after=page.next)
        assert found == [f"line/{number:03}" for number in range(300)]

    async def test_a_page_that_takes_all_has_no_next(self, alarms: AlarmList) -> None:
        await alarms.write(plant().alarms)
        assert (await alarms.page(AlarmQuery(tenant="default", limit=2))).next is None
        assert (await alarms.page(AlarmQuery(tenant="default", limit=1))).next is not None

    async def test_a_scan_yields_every_row_once_in_order_of_id(self, alarms: AlarmList) -> None:
        mine, others = History(), History("other")
        for number in range(1_200):
            mine.raised(f"line/{number}")
        others.raised("line/1")
        await alarms.write({**mine.alarms, **others.alarms})
        assert await scanned(alarms, "default") == sorted(mine.alarms.values(), key=lambda row: row.id)
        assert by_id(await scanned(alarms)) == {**mine.alarms, **others.alarms}
        assert await scanned(alarms, "nobody") == []

    async def test_the_timed_shelves_are_those_of_all_tenants_the_earliest_end_first(
        self, alarms: AlarmList
    ) -> None:
        rows = plant().alarms | shelved(1_200)
        rows |= by_id([replace(Alarm.absent("one-shot"), tenant="default", shelving="one_shot", position=1)])
        await alarms.write(rows)
        found = [row async for page in alarms.shelved() for row in page]
        timed = [row for row in rows.values() if row.shelving == "timed"]
        assert found == sorted(timed, key=lambda row: (row.shelved_until, row.id))
        assert len(found) == 1_200
        await alarms.write(
            by_id(replace(row, shelving="unshelved", shelved_until=None, position=2) for row in found)
        )
        assert [page async for page in alarms.shelved()] == []


class TestMemoryAlarmList(AlarmListContract):
    @pytest.fixture
    def alarms(self) -> MemoryAlarmList:
        return MemoryAlarmList()


class TestMongoAlarmList(AlarmListContract):
    most_bytes = PAGE_BYTES

    @pytest_asyncio.fixture
    async def alarms(self, connected: Database, held: HeldConnections) -> AsyncIterator[MongoAlarmList]:
        alarms = MongoAlarmList(connected, commands=held)
        await alarms.create()
        yield alarms

    async def test_the_timed_shelves_are_read_in_order_from_an_index_of_them_alone(
        self, alarms: MongoAlarmList, connected: Database
    ) -> None:
        await alarms.write(plant().alarms | shelved(700))
        await connected.command({"profile": 2})
        assert [len(page) async for page in alarms.shelved()] == [500, 200]
        await connected.command({"profile": 0})
        for plan in await connected["system.profile"].find({"command.find": ALARMS}).to_list(None):
            assert plan["planSummary"] == "IXSCAN { shelved_until: 1, _id: 1 }"
            assert "hasSortStage" not in plan
            assert plan["docsExamined"] <= 500

    async def test_a_list_of_another_name_is_a_list_of_its_own(
        self, alarms: MongoAlarmList, connected: Database
    ) -> None:
        shadow = MongoAlarmList(connected, "shadow")
        await shadow.create()
        await shadow.write(plant().alarms)
        assert await scanned(alarms) == []
        assert len(await scanned(shadow)) == 3

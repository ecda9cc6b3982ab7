"""What core.outbox.ports promises of rows, in memory and on MongoDB."""

from datetime import timedelta
from typing import Any, Protocol

import pytest
import pytest_asyncio
from msgspec.structs import replace

from adapters.memory.outbox import MemoryOutbox
from adapters.mongo.client import Database
from adapters.mongo.outbox.outbox import OUTBOX, MongoOutbox
from core.outbox.ports import (
    EXPIRED,
    KEPT_SECONDS,
    Backlog,
    BacklogReader,
    OutboxQuery,
    PendingRows,
    RoutedRows,
    TenantRows,
)
from core.outbox.row import Row, Settlement
from tests.kit.outgoing import NOON, row


class Outbox(RoutedRows, PendingRows, TenantRows, BacklogReader, Protocol):
    """Every port of the outbox at once, as its adapters implement them."""


LATER = NOON + timedelta(seconds=5)


def query(**fields: object) -> OutboxQuery:
    usual = {"tenant": "default", "states": frozenset({"pending", "dead"})}
    return OutboxQuery(**{**usual, **fields})  # type: ignore[arg-type]


async def settle(outbox: Outbox, old: Row, **fields: object) -> Row:
    settled: Row = replace(old, **{"attempts": old.attempts + 1, "settled_at": NOON, **fields})
    await outbox.settle([Settlement(settled)])
    return settled


class OutboxContract:
    async def test_rows_come_back_as_they_were_in_order(self, outbox: Outbox) -> None:
        rows = [row(2), row(10, trace="t"), row(9, "b")]
        await outbox.add(rows)
        assert await outbox.pending("hook", 0, 10) == [rows[0], rows[2], rows[1]]
        assert await outbox.pending("hook", 2, 1) == [rows[2]]
        assert await outbox.lane("hook", "a", 10) == rows[:2]
        assert await outbox.lane("hook", "a", 1) == rows[:1]
        assert await outbox.waiting() == {"hook"}

    async def test_adding_a_row_again_changes_nothing(self, outbox: Outbox) -> None:
        await outbox.add([row(1)])
        await settle(outbox, row(1), state="delivered", body=b"")
        await outbox.add([row(1), row(2)])
        assert await outbox.pending("hook", 0, 10) == [row(2)]

    async def test_adding_no_rows_changes_nothing(self, outbox: Outbox) -> None:
        await outbox.add([])
        assert await outbox.waiting() == frozenset()

    async def test_a_row_that_failed_stays_pending_with_what_is_known_of_it(self, outbox: Outbox) -> None:
        await outbox.add([row(1)])
        failed = await settle(outbox, row(1), next_at=LATER, status=500, error="HTTP 500")
        assert await outbox.pending("hook", 0, 10) == [failed]

    async def test_only_a_pending_row_is_settled(self, outbox: Outbox) -> None:
        await outbox.add([row(1)])
        await settle(outbox, row(1), state="delivered", body=b"", status=200)
        await settle(outbox, row(1), state="dead", status=500)
        found = await outbox.get("default", 1, "hook")
        assert found is not None
        assert (found.state, found.status) == ("delivered", 200)
        assert await outbox.waiting() == frozenset()

    async def test_a_dead_row_comes_back_to_life_with_its_body(self, outbox: Outbox) -> None:
        await outbox.add([row(1)])
        dead = await settle(outbox, row(1, attempts=9), state="dead")
        assert await outbox.revive(dead, LATER)
        assert not await outbox.revive(dead, LATER)
        assert await outbox.pending("hook", 0, 10) == [
            replace(dead, state="pending", attempts=0, next_at=LATER, revived_at=LATER)
        ]

    async def test_a_pending_row_is_hastened_with_those_that_must_go_before_it(self, outbox: Outbox) -> None:
        waiting = [row(1), row(2), row(3), row(2, "b"), row(1, hook="other")]
        waiting = [replace(each, next_at=LATER, attempts=3) for each in waiting]
        waiting[3] = replace(waiting[3], position=4)
        await outbox.add(waiting)
        await settle(outbox, waiting[0], state="dead", next_at=LATER)
        await outbox.hasten(waiting[1], NOON)
        due = [(each.position, each.next_at) for each in await outbox.pending("hook", 0, 10)]
        assert due == [(2, NOON), (3, LATER), (4, LATER)]
        assert [each.next_at for each in await outbox.pending("other", 0, 10)] == [LATER]
        await outbox.hasten(waiting[2], LATER)
        assert [each.next_at for each in await outbox.lane("hook", "a", 10)] == [NOON, LATER]

    async def test_pending_rows_expire_but_not_those_that_were_revived_since(self, outbox: Outbox) -> None:
        await outbox.add([row(1), row(2), row(3, routed_at=LATER), row(4, hook="disabled"), row(5)])
        dead = await settle(outbox, row(2), state="dead")
        await settle(outbox, row(5), state="dead")
        await outbox.revive(dead, LATER)
        assert await outbox.expire(LATER, LATER) == 2
        assert [each.position for each in await outbox.pending("hook", 0, 10)] == [2, 3]
        listed = {each.id: each for each in await outbox.page(query(states=frozenset({"dead"})))}
        assert listed.keys() == {"1:hook", "4:disabled", "5:hook"}
        assert (listed["4:disabled"].error, listed["4:disabled"].settled_at) == (EXPIRED, LATER)
        assert await outbox.expire(LATER, LATER) == 0

    async def test_a_tenant_sees_its_own_rows_only(self, outbox: Outbox) -> None:
        await outbox.add([row(1), row(2, hook="theirs", tenant="other")])
        assert [each.id for each in await outbox.page(query())] == ["1:hook"]
        assert await outbox.get("default", 2, "theirs") is None
        assert (await outbox.get("other", 2, "theirs")) == row(2, hook="theirs", tenant="other", body=b"")

    async def test_pages_of_rows_follow_one_another(self, outbox: Outbox) -> None:
        rows = [row(number, hook=hook) for number in range(1, 12) for hook in ("one", "two")]
        await outbox.add(rows)
        await settle(outbox, rows[3], state="dead")
        await settle(outbox, rows[6], state="delivered")
        found: list[str] = []
        after = None
        while page := await outbox.page(query(limit=5, after=after)):
            found += [each.id for each in page]
            after = (page[-1].position, page[-1].webhook)
        assert found == [each.id for each in rows if each is not rows[6]]
        assert [each.id for each in await outbox.page(query(states=frozenset({"dead"})))] == [rows[3].id]
        assert {each.webhook for each in await outbox.page(query(webhook="two"))} == {"two"}

    async def test_a_row_is_overtaken_by_a_later_one_of_its_alarm_and_webhook(self, outbox: Outbox) -> None:
        await outbox.add([row(1), row(2, "b"), row(3, hook="other")])
        assert not await outbox.overtaken(row(1))
        await outbox.add([row(4)])
        assert await outbox.overtaken(row(1))
        assert not await outbox.overtaken(row(4))

    async def test_a_webhooks_rows_are_removed(self, outbox: Outbox) -> None:
        await outbox.add([row(1), row(1, hook="other")])
        await outbox.remove("hook")
        assert await outbox.waiting() == {"other"}

    async def test_rows_behind_a_position_are_cut(self, outbox: Outbox) -> None:
        await outbox.add([row(number) for number in range(1, 6)])
        assert await outbox.newest(5, 2) == [(4, "event-4"), (3, "event-3")]
        await outbox.cut(3)
        assert await outbox.newest(100, 10) == [(3, "event-3"), (2, "event-2"), (1, "event-1")]

    async def test_the_backlog_counts_what_is_pending_and_dead(self, outbox: Outbox) -> None:
        await outbox.add([row(1), row(2, routed_at=LATER), row(3), row(4), row(5, hook="other")])
        await settle(outbox, row(3), state="dead")
        await settle(outbox, row(4), state="delivered")
        await settle(outbox, row(5, hook="other"), state="dead")
        assert await outbox.backlog() == [
            Backlog(webhook="hook", tenant="default", pending=2, dead=1, oldest=NOON),
            Backlog(webhook="other", tenant="default", dead=1),
        ]


class TestMemoryOutbox(OutboxContract):
    @pytest.fixture
    def outbox(self) -> MemoryOutbox:
        return MemoryOutbox()


class TestMongoOutbox(OutboxContract):
    @pytest_asyncio.fixture
    async def outbox(self, connected: Database) -> MongoOutbox:
        made = MongoOutbox(connected)
        await made.create()
        return made

    @pytest.mark.parametrize(
        "change", [{"$unset": {"type": ""}}, {"$set": {"attempts": "many"}}, {"$set": {"position": "first"}}]
    )
    async def test_a_row_that_cannot_be_read_is_dead_and_listed_and_holds_up_no_other(
        self, outbox: MongoOutbox, connected: Database, change: dict[str, Any]
    ) -> None:
        await outbox.add([row(1), row(2), row(3)])
        await connected[OUTBOX].update_one({"_id": "1:hook"}, change)
        assert await outbox.lane("hook", "a", 3) == [row(2), row(3)]
        assert await outbox.pending("hook", 0, 3) == [row(2), row(3)]
        listed = {each.id: each for each in await outbox.page(query())}
        assert listed["1:hook"].state == "dead"
        assert "cannot read the row" in (listed["1:hook"].error or "")
        kept = await connected[OUTBOX].find_one({"_id": "1:hook"})
        assert kept is not None
        assert kept["expires_at"] > kept["settled_at"]

    async def test_a_field_that_a_newer_version_added_is_passed_over(
        self, outbox: MongoOutbox, connected: Database
    ) -> None:
        await outbox.add([row(1)])
        await connected[OUTBOX].update_one({"_id": "1:hook"}, {"$set": {"new": 1}})
        assert await outbox.pending("hook", 0, 3) == [row(1)]

    async def test_settled_rows_expire_and_pending_ones_do_not(
        self, outbox: MongoOutbox, connected: Database
    ) -> None:
        await outbox.add([row(1), row(2), row(3)])
        await settle(outbox, row(1), state="delivered", body=b"")
        dead = await settle(outbox, row(2), state="dead")
        await settle(outbox, row(3), next_at=LATER)
        rows = {each["_id"]: each async for each in connected[OUTBOX].find()}
        expiry = NOON + timedelta(seconds=KEPT_SECONDS)
        assert rows["1:hook"]["expires_at"] == rows["2:hook"]["expires_at"] == expiry
        assert rows["1:hook"]["body"] == b""
        assert "expires_at" not in rows["3:hook"]
        await outbox.revive(dead, LATER)
        assert "expires_at" not in (await connected[OUTBOX].find_one({"_id": "2:hook"}) or {})

"""What core.outbox.ports promises of webhooks, in memory and on MongoDB."""

import asyncio
from typing import Any, Protocol

import pytest
import pytest_asyncio
from msgspec.structs import replace

from adapters.memory.webhooks import MemoryWebhooks
from adapters.mongo.client import Database
from adapters.mongo.outbox.webhooks import WEBHOOKS, MongoWebhooks
from core.errors import Unavailable
from core.lists.filter import Filter
from core.outbox.ports import RoutedWebhooks, Webhooks
from tests.kit.outgoing import NOON, webhook


class AllWebhooks(RoutedWebhooks, Webhooks, Protocol):
    """Every port of the webhooks at once, as its adapters implement them."""


FILTER = Filter(sources=frozenset({"line/*"}), labels={"$a.b": "c"}, min_severity="minor")


class WebhooksContract:
    async def test_a_webhook_comes_back_as_it_was(self, webhooks: AllWebhooks) -> None:
        made = webhook("b", filter=FILTER, after=2**40, description="Zürich")
        paging = webhook("a", format="pagerduty", routing_key="R", enabled=False, disabled_reason="why")
        assert await webhooks.add(made)
        assert await webhooks.add(paging)
        assert await webhooks.all() == [paging, made]
        assert await webhooks.get("default", "b") == made

    async def test_a_tenant_sees_its_own_webhooks_only(self, webhooks: AllWebhooks) -> None:
        await webhooks.add(webhook("a"))
        await webhooks.add(webhook("b", tenant="other"))
        assert [each.id for each in await webhooks.of_tenant("other")] == ["b"]
        assert await webhooks.get("default", "b") is None
        assert await webhooks.change("default", "b", {"enabled": False}) is None
        assert not await webhooks.remove("default", "b")

    async def test_an_id_belongs_to_one_webhook_and_adding_the_same_again_is_fine(
        self, webhooks: AllWebhooks
    ) -> None:
        assert await webhooks.add(webhook("a"))
        assert await webhooks.add(webhook("a", created_at=NOON.replace(hour=13)))
        assert not await webhooks.add(webhook("a", url="http://elsewhere/"))
        assert await webhooks.all() == [webhook("a")]

    async def test_a_change_leaves_the_other_fields_as_they_are(self, webhooks: AllWebhooks) -> None:
        await webhooks.add(webhook("a"))
        changed = await webhooks.change("default", "a", {"filter": FILTER, "after": 7, "joined": True})
        assert changed == replace(webhook("a"), filter=FILTER, after=7, joined=True)
        assert await webhooks.get("default", "a") == changed

    async def test_changes_of_different_fields_at_once_are_all_there(self, webhooks: AllWebhooks) -> None:
        await webhooks.add(webhook("a"))
        fields = {"after": 5, "enabled": False, "description": "d", "joined": True}
        await asyncio.gather(*(webhooks.change("default", "a", {k: v}) for k, v in fields.items()))
        assert await webhooks.get("default", "a") == replace(webhook("a"), **fields)

    async def test_a_removed_webhook_is_gone(self, webhooks: AllWebhooks) -> None:
        await webhooks.add(webhook("a"))
        assert await webhooks.remove("default", "a")
        assert not await webhooks.remove("default", "a")
        assert await webhooks.all() == []

    async def test_each_rescan_is_counted(self, webhooks: AllWebhooks) -> None:
        await webhooks.add(webhook("a"))
        await webhooks.rescan("a")
        await webhooks.rescan("nobody")
        assert [each.rescans for each in await webhooks.all()] == [1]

    async def test_rewinding_moves_back_the_webhooks_that_were_further(self, webhooks: AllWebhooks) -> None:
        await webhooks.add(webhook("a", after=3))
        await webhooks.add(webhook("b", after=30))
        await webhooks.rewind(10)
        assert [each.after for each in await webhooks.all()] == [3, 10]

    async def test_what_is_stored_is_known_by_its_ids(self, webhooks: AllWebhooks) -> None:
        await webhooks.add(webhook("a"))
        await webhooks.add(webhook("b", tenant="other"))
        assert await webhooks.stored(["a", "b", "gone"]) == {"a", "b"}
        assert await webhooks.stored([]) == frozenset()

    async def test_a_router_takes_over_what_joined_but_not_what_a_late_one_let_join(
        self, webhooks: AllWebhooks
    ) -> None:
        for name, joined_by in (("early", 0), ("late", 3), ("now", 4), ("later", 9)):
            await webhooks.add(webhook(name, joined=True, joined_by=joined_by))
        await webhooks.add(webhook("not", joined_by=4))
        await webhooks.take_over(4, 5)
        found = {each.id: each.joined_by for each in await webhooks.all()}
        assert found == {"early": 5, "late": 3, "now": 5, "later": 9, "not": 4}


class TestMemoryWebhooks(WebhooksContract):
    @pytest.fixture
    def webhooks(self) -> MemoryWebhooks:
        return MemoryWebhooks()


class TestMongoWebhooks(WebhooksContract):
    @pytest_asyncio.fixture
    async def webhooks(self, connected: Database) -> MongoWebhooks:
        made = MongoWebhooks(connected)
        await made.create()
        return made

    async def test_every_webhook_is_listed_however_many_there_are(
        self, webhooks: MongoWebhooks, connected: Database
    ) -> None:
        await webhooks.add(webhook("hook-0"))
        one = await connected[WEBHOOKS].find_one({})
        assert one is not None
        count = 10_050
        await connected[WEBHOOKS].insert_many([{**one, "_id": f"hook-{n}"} for n in range(1, count)])
        assert len(await webhooks.all()) == count
        assert len(await webhooks.stored(f"hook-{n}" for n in range(count))) == count

    async def test_a_webhook_of_an_earlier_version_that_has_joined_is_taken_over(
        self, webhooks: MongoWebhooks, connected: Database
    ) -> None:
        await webhooks.add(webhook("a", joined=True))
        await connected[WEBHOOKS].update_one({"_id": "a"}, {"$unset": {"joined_by": ""}})
        assert [each.joined_by for each in await webhooks.all()] == [0]
        await webhooks.take_over(4, 5)
        assert [each.joined_by for each in await webhooks.all()] == [5]

    @pytest.mark.parametrize("change", [{"$set": {"format": "new"}}, {"$unset": {"after": ""}}])
    async def test_a_webhook_that_a_newer_version_wrote_is_not_passed_over(
        self, webhooks: MongoWebhooks, connected: Database, change: dict[str, Any]
    ) -> None:
        await webhooks.add(webhook("a"))
        await connected[WEBHOOKS].update_one({"_id": "a"}, change)
        with pytest.raises(Unavailable, match="webhook a"):
            await webhooks.all()

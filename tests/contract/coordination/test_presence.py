"""What core.coordination.ports.Presence promises, in memory and on MongoDB."""

import pytest

from adapters.memory.presence import MemoryPresence
from adapters.mongo.client import Database
from adapters.mongo.coordination.presence import MongoPresence
from core.coordination.ports import Presence


class PresenceContract:
    async def test_each_process_is_told_the_fewest_another_leads(self, presence: Presence) -> None:
        assert await presence.announce("a", 3, 60) is None
        assert await presence.announce("a", 4, 60) is None
        assert await presence.announce("b", 1, 60) == 4
        assert await presence.announce("c", 2, 60) == 1
        assert await presence.announce("b", 1, 60) == 2

    async def test_a_process_that_left_or_ran_out_counts_no_more(self, presence: Presence) -> None:
        await presence.announce("a", 2, 60)
        await presence.announce("b", 1, 0)
        assert await presence.announce("c", 0, 60) == 2
        await presence.leave("a")
        await presence.leave("never there")
        assert await presence.announce("c", 0, 60) is None


class TestMemoryPresence(PresenceContract):
    @pytest.fixture
    def presence(self) -> Presence:
        return MemoryPresence()


class TestMongoPresence(PresenceContract):
    @pytest.fixture
    def presence(self, connected: Database) -> Presence:
        return MongoPresence(connected)

"""What core.coordination.ports.SettingsBoard promises, in memory and on MongoDB."""

import pytest
import pytest_asyncio

from adapters.memory.settings_board import MemorySettingsBoard
from adapters.mongo.client import Database
from adapters.mongo.coordination.settings_board import MongoSettingsBoard
from core.coordination.ports import SettingsBoard

ONE, TWO = {"TOCSIN_FEED": "a", "a.b$": "$x"}, {"TOCSIN_FEED": "b"}


class SettingsBoardContract:
    async def test_each_process_sees_what_the_others_announced(self, board: SettingsBoard) -> None:
        assert list(await board.post("one", ONE, 60)) == []
        assert list(await board.post("two", TWO, 60)) == [ONE]
        assert list(await board.post("one", ONE, 60)) == [TWO]

    async def test_an_announcement_replaces_the_one_before(self, board: SettingsBoard) -> None:
        await board.post("one", ONE, 60)
        await board.post("one", TWO, 60)
        assert list(await board.post("two", TWO, 60)) == [TWO]

    async def test_what_expired_or_was_withdrawn_is_seen_no_more(self, board: SettingsBoard) -> None:
        await board.post("expired", ONE, -1)
        await board.post("withdrawn", ONE, 60)
        await board.withdraw("withdrawn")
        assert list(await board.post("two", TWO, 60)) == []


class TestMemorySettingsBoard(SettingsBoardContract):
    @pytest.fixture
    def board(self) -> MemorySettingsBoard:
        return MemorySettingsBoard()


class TestMongoSettingsBoard(SettingsBoardContract):
    @pytest_asyncio.fixture
    async def board(self, connected: Database) -> MongoSettingsBoard:
        made = MongoSettingsBoard(connected)
        await made.create()
        return made

"""What core.lists.ports.AlarmRebuild promises, in memory and on MongoDB."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from adapters.memory.alarms import MemoryAlarmList
from adapters.memory.checkpoints import MemoryCheckpoints
from adapters.memory.rebuild import MemoryAlarmRebuild
from adapters.mongo.alarms.alarm_list import ALARMS, INDEXES, MongoAlarmList
from adapters.mongo.alarms.rebuild import SHADOWS, MongoAlarmRebuild
from adapters.mongo.client import Database
from adapters.mongo.coordination.checkpoints import MongoCheckpoints
from core.alarm.alarm import Alarm
from core.coordination.ports import NO_CHECKPOINT, Checkpoint, Checkpoints, Lease
from core.lists.ports import AlarmList, AlarmRebuild
from tests.kit.history import History

FIRST = Lease("projector", "a", 1)
SECOND = Lease("projector", "b", 2)
NEXT = Checkpoint(2, "e2", 1)


@dataclass
class Model:
    alarms: AlarmList
    checkpoints: Checkpoints
    rebuild: AlarmRebuild

    async def rows(self) -> list[Alarm]:
        return [row async for rows in self.alarms.scan() for row in rows]


def rows(source: str) -> dict[str, Alarm]:
    history = History()
    history.raised(source)
    return history.alarms


class RebuildContract:
    async def test_a_shadow_is_empty_and_no_reader_sees_it(self, model: Model) -> None:
        await model.alarms.write(rows("live"))
        shadow = await model.rebuild.begin()
        assert [page async for page in shadow.alarms.scan()] == []
        await shadow.alarms.write(rows("shadow"))
        assert [row.source for row in await model.rows()] == ["live"]
        assert await model.checkpoints.load(ALARMS) == NO_CHECKPOINT

    async def test_a_swap_puts_the_shadow_in_place_with_its_checkpoint(self, model: Model) -> None:
        await model.alarms.write(rows("live"))
        await model.checkpoints.advance(ALARMS, FIRST, Checkpoint(9, "e9", 0))
        shadow = await model.rebuild.begin()
        await shadow.alarms.write(rows("shadow"))
        assert await model.rebuild.swap(shadow, FIRST, NEXT)
        assert [row.source for row in await model.rows()] == ["shadow"]
        assert await model.checkpoints.load(ALARMS) == NEXT

    async def test_a_shadow_that_was_filled_and_finished_has_its_rows(self, model: Model) -> None:
        shadow = await model.rebuild.begin()
        many = [*rows("one").values(), *rows("two").values()]
        await model.rebuild.fill(shadow, many)
        # As after an answer that did not come.
        await model.rebuild.fill(shadow, many)
        await model.rebuild.finish(shadow)
        assert await model.rebuild.swap(shadow, FIRST, NEXT)
        assert sorted(row.source for row in await model.rows()) == ["one", "two"]

    async def test_the_projector_goes_on_while_a_shadow_is_filled(self, model: Model) -> None:
        await model.rebuild.begin()
        assert await model.checkpoints.advance(ALARMS, FIRST, Checkpoint(9, "e9", 0))
        assert await model.checkpoints.load(ALARMS) == Checkpoint(9, "e9", 0)

    async def test_a_leader_of_before_the_swap_cannot_move_the_checkpoint(self, model: Model) -> None:
        assert await model.rebuild.swap(await model.rebuild.begin(), FIRST, NEXT)
        assert not await model.checkpoints.advance(ALARMS, SECOND, Checkpoint(9, "e9", 0))
        assert await model.checkpoints.advance(ALARMS, SECOND, Checkpoint(9, "e9", 1))

    async def test_an_empty_shadow_empties_the_list(self, model: Model) -> None:
        await model.alarms.write(rows("live"))
        assert await model.rebuild.swap(await model.rebuild.begin(), FIRST, Checkpoint(0, "", 1))
        assert await model.rows() == []

    async def test_a_shadow_that_another_rebuild_has_replaced_is_not_swapped_in(self, model: Model) -> None:
        first = await model.rebuild.begin()
        second = await model.rebuild.begin()
        assert not await model.rebuild.swap(first, FIRST, NEXT)
        assert await model.rebuild.swap(second, FIRST, NEXT)

    async def test_a_shadow_is_swapped_in_once(self, model: Model) -> None:
        shadow = await model.rebuild.begin()
        assert await model.rebuild.swap(shadow, FIRST, NEXT)
        await model.alarms.write(rows("live"))
        assert not await model.rebuild.swap(shadow, FIRST, Checkpoint(2, "e2", 2))
        assert [row.source for row in await model.rows()] == ["live"]

    async def test_a_swap_is_refused_once_a_later_holder_has_written(self, model: Model) -> None:
        shadow = await model.rebuild.begin()
        await model.checkpoints.advance(ALARMS, SECOND, Checkpoint(1, "e1", 0))
        assert not await model.rebuild.swap(shadow, FIRST, NEXT)
        assert await model.checkpoints.load(ALARMS) == Checkpoint(1, "e1", 0)

    async def test_a_swap_is_refused_for_any_but_the_next_generation(self, model: Model) -> None:
        shadow = await model.rebuild.begin()
        assert not await model.rebuild.swap(shadow, FIRST, Checkpoint(2, "e2", 0))
        assert not await model.rebuild.swap(shadow, FIRST, Checkpoint(2, "e2", 2))

    async def test_with_no_swap_written_down_there_is_nothing_to_settle(self, model: Model) -> None:
        await model.alarms.write(rows("live"))
        await model.rebuild.settle()
        await model.rebuild.begin()
        await model.rebuild.settle()
        assert [row.source for row in await model.rows()] == ["live"]


class TestMemoryRebuild(RebuildContract):
    @pytest.fixture
    def model(self) -> Model:
        alarms, checkpoints = MemoryAlarmList(), MemoryCheckpoints()
        return Model(alarms, checkpoints, MemoryAlarmRebuild(alarms, checkpoints))


class Killed(MongoAlarmRebuild):
    """A rebuild whose process dies between writing the swap down and carrying it out."""

    async def settle(self) -> None:
        return


class TestMongoRebuild(RebuildContract):
    @pytest_asyncio.fixture
    async def model(self, connected: Database) -> AsyncIterator[Model]:
        alarms = MongoAlarmList(connected)
        await alarms.create()
        yield Model(alarms, MongoCheckpoints(connected), MongoAlarmRebuild(connected))

    async def test_what_killed_rebuilds_left_is_dropped(self, model: Model, connected: Database) -> None:
        for _ in range(3):
            shadow = await model.rebuild.begin()
        left = [name for name in await connected.list_collection_names() if name.startswith(SHADOWS)]
        assert left == [shadow.name]

    async def test_the_list_that_was_swapped_in_has_its_indexes(
        self, model: Model, connected: Database
    ) -> None:
        shadow = await model.rebuild.begin()
        await model.rebuild.finish(shadow)
        await model.rebuild.swap(shadow, FIRST, NEXT)
        names = set(await connected[ALARMS].index_information())
        assert names == {"_id_", *(index.document["name"] for index in INDEXES)}

    async def test_a_swap_that_was_written_down_is_carried_out_by_the_next(
        self, model: Model, connected: Database
    ) -> None:
        killed = Killed(connected)
        shadow = await killed.begin()
        await shadow.alarms.write(rows("shadow"))
        assert await killed.swap(shadow, FIRST, NEXT)
        # Until then readers see the old list and its checkpoint, which stands still.
        assert await model.rows() == []
        assert await model.checkpoints.load(ALARMS) == NO_CHECKPOINT
        assert not await model.checkpoints.advance(ALARMS, SECOND, Checkpoint(9, "e9", 0))
        await model.rebuild.settle()
        assert [row.source for row in await model.rows()] == ["shadow"]
        assert await model.checkpoints.load(ALARMS) == NEXT

    async def test_a_rebuild_that_begins_carries_out_the_one_before_it(
        self, model: Model, connected: Database
    ) -> None:
        killed = Killed(connected)
        await killed.swap(await killed.begin(), FIRST, NEXT)
        await model.rebuild.begin()
        assert await model.checkpoints.load(ALARMS) == NEXT

    async def test_a_rename_that_comes_late_changes_nothing(self, model: Model, connected: Database) -> None:
        shadow = await model.rebuild.begin()
        await model.rebuild.swap(shadow, FIRST, NEXT)
        await model.alarms.write(rows("live"))
        await MongoAlarmRebuild(connected)._put_in_place(shadow.name)
        assert [row.source for row in await model.rows()] == ["live"]

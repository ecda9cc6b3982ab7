"""What core.coordination.ports.Checkpoints promises, in memory and on MongoDB."""

import asyncio

import pytest

from adapters.memory.checkpoints import MemoryCheckpoints
from adapters.mongo.client import Database
from adapters.mongo.coordination.checkpoints import MongoCheckpoints
from adapters.mongo.wire.held_connections import HeldConnections
from core.coordination.ports import NO_CHECKPOINT, Checkpoint, Checkpoints, Lease

FIRST = Lease("projector", "a", 1)
SECOND = Lease("projector", "b", 2)


class CheckpointsContract:
    async def test_before_the_first_write_there_is_no_checkpoint(self, checkpoints: Checkpoints) -> None:
        assert await checkpoints.load("alarms") == NO_CHECKPOINT

    async def test_the_first_write_creates_the_checkpoint(self, checkpoints: Checkpoints) -> None:
        assert await checkpoints.advance("alarms", FIRST, Checkpoint(5, "e5", 0))
        assert await checkpoints.load("alarms") == Checkpoint(5, "e5", 0)

    async def test_each_projection_has_its_own_checkpoint(self, checkpoints: Checkpoints) -> None:
        assert await checkpoints.advance("alarms", FIRST, Checkpoint(5, "e5", 0))
        assert await checkpoints.load("kpi") == NO_CHECKPOINT

    async def test_a_checkpoint_moves_forward(self, checkpoints: Checkpoints) -> None:
        assert await checkpoints.advance("alarms", FIRST, Checkpoint(5, "e5", 0))
        assert await checkpoints.advance("alarms", FIRST, Checkpoint(9, "e9", 0))
        assert await checkpoints.load("alarms") == Checkpoint(9, "e9", 0)

    async def test_a_checkpoint_never_moves_back(self, checkpoints: Checkpoints) -> None:
        await checkpoints.advance("alarms", FIRST, Checkpoint(9, "e9", 0))
        assert not await checkpoints.advance("alarms", SECOND, Checkpoint(8, "e8", 0))
        assert await checkpoints.load("alarms") == Checkpoint(9, "e9", 0)

    async def test_a_write_that_is_repeated_succeeds_again(self, checkpoints: Checkpoints) -> None:
        assert await checkpoints.advance("alarms", FIRST, Checkpoint(9, "e9", 0))
        assert await checkpoints.advance("alarms", FIRST, Checkpoint(9, "e9", 0))

    async def test_a_later_token_wins_and_an_older_one_is_refused(self, checkpoints: Checkpoints) -> None:
        await checkpoints.advance("alarms", FIRST, Checkpoint(5, "e5", 0))
        assert await checkpoints.advance("alarms", SECOND, Checkpoint(5, "e5", 0))
        assert not await checkpoints.advance("alarms", FIRST, Checkpoint(9, "e9", 0))
        assert await checkpoints.advance("alarms", SECOND, Checkpoint(6, "e6", 0))
        assert await checkpoints.load("alarms") == Checkpoint(6, "e6", 0)

    async def test_the_highest_token_that_wrote_is_known(self, checkpoints: Checkpoints) -> None:
        assert await checkpoints.token("alarms") == 0
        await checkpoints.fence("alarms", SECOND)
        assert not await checkpoints.advance("alarms", FIRST, Checkpoint(5, "e5", 0))
        assert await checkpoints.token("alarms") == 2

    @pytest.mark.parametrize("generation", [1, 2])
    async def test_a_write_of_another_generation_is_refused(
        self, checkpoints: Checkpoints, generation: int
    ) -> None:
        assert not await checkpoints.advance("alarms", FIRST, Checkpoint(5, "e5", generation))
        await checkpoints.advance("alarms", FIRST, Checkpoint(5, "e5", 0))
        assert not await checkpoints.advance("alarms", FIRST, Checkpoint(9, "e9", generation))
        assert await checkpoints.load("alarms") == Checkpoint(5, "e5", 0)

    async def test_a_fence_holds_the_checkpoint_where_it_is(self, checkpoints: Checkpoints) -> None:
        await checkpoints.advance("alarms", FIRST, Checkpoint(5, "e5", 0))
        await checkpoints.advance("alarms", FIRST, Checkpoint(7, "e7", 0))
        assert await checkpoints.fence("alarms", SECOND) == Checkpoint(7, "e7", 0)
        assert not await checkpoints.advance("alarms", FIRST, Checkpoint(9, "e9", 0))
        assert await checkpoints.fence("alarms", FIRST) is None
        assert await checkpoints.load("alarms") == Checkpoint(7, "e7", 0)

    async def test_a_fence_may_come_before_the_first_write(self, checkpoints: Checkpoints) -> None:
        assert await checkpoints.fence("alarms", SECOND) == NO_CHECKPOINT
        assert not await checkpoints.advance("alarms", FIRST, Checkpoint(5, "e5", 0))
        assert await checkpoints.advance("alarms", SECOND, Checkpoint(5, "e5", 0))

    async def test_a_fence_is_up_at_once_however_busy_the_holder_is(self, checkpoints: Checkpoints) -> None:
        async def advance() -> int:
            for position in range(1, 1_000):
                if not await checkpoints.advance("alarms", FIRST, Checkpoint(position, f"e{position}", 0)):
                    return position - 1
                await asyncio.sleep(0)
            return position

        advancing = asyncio.create_task(advance())
        await asyncio.sleep(0)
        fenced = await checkpoints.fence("alarms", SECOND)
        assert fenced is not None
        assert await advancing == fenced.position

    async def test_a_checkpoint_is_set_back_under_the_next_generation(self, checkpoints: Checkpoints) -> None:
        await checkpoints.advance("outbox", FIRST, Checkpoint(9, "e9", 0))
        assert await checkpoints.set_back("outbox", SECOND, Checkpoint(3, "e3", 1))
        assert await checkpoints.load("outbox") == Checkpoint(3, "e3", 1)
        assert not await checkpoints.advance("outbox", SECOND, Checkpoint(10, "e10", 0))

    async def test_a_checkpoint_is_not_set_back_by_who_lost_the_lease_or_missed_a_generation(
        self, checkpoints: Checkpoints
    ) -> None:
        assert not await checkpoints.set_back("outbox", FIRST, Checkpoint(0, "", 1))
        await checkpoints.advance("outbox", SECOND, Checkpoint(9, "e9", 0))
        assert not await checkpoints.set_back("outbox", FIRST, Checkpoint(3, "e3", 1))
        assert not await checkpoints.set_back("outbox", SECOND, Checkpoint(3, "e3", 2))
        assert await checkpoints.load("outbox") == Checkpoint(9, "e9", 0)

    async def test_writers_at_once_leave_the_furthest_of_them(self, checkpoints: Checkpoints) -> None:
        moves = [checkpoints.advance("alarms", FIRST, Checkpoint(n, f"e{n}", 0)) for n in range(1, 40)]
        moved = await asyncio.gather(*moves)
        furthest = max(position for position, done in enumerate(moved, 1) if done)
        assert await checkpoints.load("alarms") == Checkpoint(furthest, f"e{furthest}", 0)


class TestMemoryCheckpoints(CheckpointsContract):
    @pytest.fixture
    def checkpoints(self) -> MemoryCheckpoints:
        return MemoryCheckpoints()


class TestMongoCheckpoints(CheckpointsContract):
    @pytest.fixture
    def checkpoints(self, connected: Database, held: HeldConnections) -> MongoCheckpoints:
        return MongoCheckpoints(connected, held)

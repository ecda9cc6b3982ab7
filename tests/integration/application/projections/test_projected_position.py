"""Waiting until a projection has reached a position."""

import asyncio

from adapters.memory.checkpoints import MemoryCheckpoints
from core.application.projections.projected_position import ProjectedPosition
from core.coordination.ports import Checkpoint, Lease
from tests.kit.jumping import run

LEASE = Lease("projector", "a", 1)


class Place:
    """Checkpoints, and the bell that rings when one has moved."""

    def __init__(self) -> None:
        self.checkpoints = MemoryCheckpoints()
        self.moved = asyncio.Event()
        self.position = ProjectedPosition("alarms", self.checkpoints, self.bell)

    def bell(self, topic: str) -> asyncio.Event:
        assert topic == "checkpoints"
        return self.moved

    async def advance(self, projection: str, position: int) -> None:
        assert await self.checkpoints.advance(projection, LEASE, Checkpoint(position, "e", 0))
        self.moved.set()
        self.moved = asyncio.Event()


def test_a_position_that_was_reached_is_not_waited_for() -> None:
    async def test() -> None:
        place = Place()
        await place.advance("alarms", 5)
        assert await place.position.reaches(5, 10)
        assert asyncio.get_running_loop().time() == 0

    run(test)


def test_waiting_for_a_position_ends_as_soon_as_it_is_reached() -> None:
    async def test() -> None:
        place = Place()
        waiting = asyncio.create_task(place.position.reaches(5, 10))
        for second, (projection, position) in enumerate([("alarms", 4), ("kpis", 9), ("alarms", 5)], 1):
            await asyncio.sleep(1)
            assert not waiting.done()
            await place.advance(projection, position)
            assert asyncio.get_running_loop().time() == second
        assert await waiting
        assert asyncio.get_running_loop().time() == 3

    run(test)


def test_a_position_that_is_not_reached_is_waited_for_no_longer_than_it_is_said() -> None:
    async def test() -> None:
        place = Place()
        await place.advance("alarms", 4)
        assert not await place.position.reaches(5, 10)
        assert asyncio.get_running_loop().time() == 10

    run(test)

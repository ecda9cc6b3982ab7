"""Whether a checkpoint is of this log, also on a primary that lags."""

import pytest

from adapters.memory.log import Events, MemoryLog
from core.application.checkpoints import MISSING_TRIES, belongs, belongs_in_time
from core.coordination.ports import NO_CHECKPOINT, Checkpoint
from core.log.ports import Stamp
from tests.kit.history import History
from tests.kit.hosts import HOST
from tests.kit.jumping import run


class LateLog(MemoryLog):
    """A log whose events are seen only at the n-th look."""

    def __init__(self, looks: int) -> None:
        history, events = History(), Events()
        history.raised("pump-1")
        events.add(history.events[0])
        super().__init__("log", events)
        self.event_id = history.events[0].event_id
        self.looks = looks
        self.looked = 0

    async def stamp(self, position: int) -> Stamp | None:
        self.looked += 1
        return None if self.looked < self.looks else await super().stamp(position)


def test_a_checkpoint_at_the_beginning_belongs_to_every_log() -> None:
    async def test() -> None:
        log = LateLog(100)
        assert await belongs(log, NO_CHECKPOINT)
        assert await belongs_in_time(log, NO_CHECKPOINT, HOST.chance)
        assert log.looked == 0

    run(test)


def test_the_event_at_its_position_tells_whether_a_checkpoint_belongs_to_the_log() -> None:
    async def test() -> None:
        log = LateLog(1)
        assert await belongs(log, Checkpoint(1, log.event_id, 0))
        assert not await belongs(log, Checkpoint(1, "another", 0))
        assert not await belongs(log, Checkpoint(2, log.event_id, 0))

    run(test)


@pytest.mark.parametrize(("looks", "found"), [(1, True), (MISSING_TRIES, True), (MISSING_TRIES + 1, False)])
def test_the_event_of_a_checkpoint_is_looked_for_a_few_times_while_it_is_missing(
    looks: int, found: bool
) -> None:
    async def test() -> None:
        log = LateLog(looks)
        assert await belongs_in_time(log, Checkpoint(1, log.event_id, 0), HOST.chance) is found
        assert log.looked == min(looks, MISSING_TRIES)

    run(test)


def test_another_event_in_a_checkpoints_place_is_not_waited_for() -> None:
    async def test() -> None:
        log = LateLog(1)
        assert not await belongs_in_time(log, Checkpoint(1, "another", 0), HOST.chance)
        assert log.looked == 1

    run(test)

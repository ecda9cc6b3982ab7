"""The tail is read again while it lags behind a position that somebody has seen."""

import pytest

from core.application import log_tail
from core.application.log_tail import tail_up_to
from core.log.ports import Stamp


class LaggingLog:
    """A log whose tail moves on with each read."""

    def __init__(self) -> None:
        self.reads = 0

    async def stamp(self, position: int) -> Stamp | None:
        raise NotImplementedError

    async def tail(self) -> Stamp:
        self.reads += 1
        return Stamp(self.reads, "event", None)


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_tail, "PAUSE_SECONDS", 0)


@pytest.mark.parametrize(("position", "tries", "found"), [(1, 3, 1), (3, 3, 3), (4, 3, 3), (4, 1, 1)])
async def test_the_tail_is_read_until_it_has_the_position_or_the_tries_are_over(
    position: int, tries: int, found: int
) -> None:
    log = LaggingLog()
    assert await tail_up_to(log, position, tries) == found
    assert log.reads == found

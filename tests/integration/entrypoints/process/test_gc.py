import gc
import weakref
from collections.abc import Iterator

import pytest

from entrypoints.process.gc import ENDED, GROWN, Collector


class Connection:
    """Refers to itself."""

    def __init__(self) -> None:
        self.me = self


@pytest.fixture(autouse=True)
def _unfrozen() -> Iterator[None]:
    yield
    gc.unfreeze()


def test_objects_that_come_with_sessions_are_exempted() -> None:
    sessions = 0
    collector = Collector(lambda: (sessions, sessions))
    collector.look()
    assert gc.get_freeze_count() == 0
    sessions = GROWN
    collector.look()
    frozen = gc.get_freeze_count()
    assert frozen > 0
    sessions += GROWN - 1
    kept = [Connection() for _ in range(1_000)]
    collector.look()
    assert gc.get_freeze_count() <= frozen
    sessions += 1
    collector.look()
    assert gc.get_freeze_count() >= frozen + len(kept)


def test_garbage_of_ended_sessions_is_found() -> None:
    opened, ended = GROWN, 0
    collector = Collector(lambda: (opened, opened - ended))
    connection = Connection()
    gone = weakref.ref(connection)
    collector.look()
    del connection
    gc.collect()
    assert gone() is not None, "it was not exempted"
    opened = ended = ENDED
    collector.look()
    assert gone() is None

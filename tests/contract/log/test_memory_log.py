import pytest

from adapters.memory.log import Events, MemoryLog
from core.errors import RevisionConflict
from tests.contract.log.log_suite import LogContract, LogFactory
from tests.kit.chains import chain, raised
from tests.kit.logs import EventLog


class TestMemoryLog(LogContract):
    @pytest.fixture
    def log_factory(self) -> LogFactory:
        events = Events()

        async def another() -> EventLog:
            return MemoryLog("a log", events)

        return another

    async def test_an_event_that_skips_a_revision_is_a_conflict(self, log: EventLog) -> None:
        (first,) = await chain(log, 1)
        skipped = raised(raised(first.alarm).alarm)
        with pytest.raises(RevisionConflict):
            await log.append(first.alarm, skipped)

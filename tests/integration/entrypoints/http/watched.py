"""A log in memory that fails as told and watches who appends."""

from adapters.memory.log import MemoryLog
from core.alarm.alarm import Alarm
from core.alarm.events import Event


class WatchedLog(MemoryLog):
    """Raises the error of a source, and counts how many append at once, and how many tried."""

    def __init__(self) -> None:
        super().__init__("a-log")
        self.errors: dict[str, Exception] = {}
        self.under_way = 0
        self.most = 0
        self.tried = 0

    async def append(self, before: Alarm, event: Event) -> Event:
        self.tried += 1
        if event.alarm.source in self.errors:
            raise self.errors[event.alarm.source]
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            return await super().append(before, event)
        finally:
            self.under_way -= 1

"""A log and the alarm list that is projected from it, on one database."""

from collections.abc import Sequence

from adapters.mongo.alarms.alarm_list import MongoAlarmList
from adapters.mongo.alarms.rebuild import MongoAlarmRebuild
from adapters.mongo.client import Database
from adapters.mongo.codec import event_document
from adapters.mongo.coordination.checkpoints import MongoCheckpoints
from adapters.mongo.coordination.leases import MongoLeases
from adapters.mongo.log.store import EVENTS
from core.alarm.alarm import Alarm
from core.alarm.events import Event
from core.application.projections.alarms import AlarmModel
from tests.kit.mongologs import WritableLog


class AlarmStorage:
    """The log, the list with its checkpoint, and the leases."""

    def __init__(self, connected: Database) -> None:
        self.connected = connected
        self.log = WritableLog(connected)
        self.alarms = MongoAlarmList(connected)
        self.model = AlarmModel(self.alarms, MongoCheckpoints(connected), MongoAlarmRebuild(connected))
        self.leases = MongoLeases(connected)

    async def plant(self, events: Sequence[Event]) -> None:
        """Put events into the log, at their positions."""
        await self.connected[EVENTS].insert_many([event_document(event) for event in events])

    async def rows(self) -> dict[str, Alarm]:
        """Return the rows of the list, by id."""
        return {row.id: row async for rows in self.alarms.scan() for row in rows}

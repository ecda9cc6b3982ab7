"""The alarm list in memory, for tests."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime

from core.alarm import Alarm
from core.ports import AlarmPage, AlarmQuery

SCAN_ROWS = 500

_NEVER = datetime.min.replace(tzinfo=UTC)


class MemoryAlarmList:
    """The read model `alarms` (see core.ports.AlarmList) in a dict."""

    def __init__(self) -> None:
        self.rows: dict[str, Alarm] = {}

    async def write(self, rows: Mapping[str, Alarm]) -> None:
        """Replace each row, unless it is at this position or a later one already."""
        for alarm_id, alarm in rows.items():
            known = self.rows.get(alarm_id)
            if known is None or known.position < alarm.position:
                self.rows[alarm_id] = alarm

    async def get(self, tenant: str, alarm_id: str) -> Alarm | None:
        """Return one row; None also for another tenant's."""
        alarm = self.rows.get(alarm_id)
        return alarm if alarm is not None and alarm.tenant == tenant else None

    async def page(self, query: AlarmQuery) -> AlarmPage:
        """Return one page of the list, newest activation first."""
        listed = sorted((alarm for alarm in self.rows.values() if _matches(query, alarm)), key=_rank)
        if query.cursor is not None:
            raised_at, alarm_id = query.cursor
            listed = [alarm for alarm in listed if _rank(alarm) > (-_seconds(raised_at), alarm_id)]
        alarms = listed[: query.limit]
        last = alarms[-1] if len(listed) > query.limit else None
        return AlarmPage(alarms, (last.raised_at, last.id) if last and last.raised_at else None)

    async def scan(self, tenant: str | None = None) -> AsyncIterator[Sequence[Alarm]]:
        """Yield all rows (of the tenant), in order of id, in pages."""
        after = ""
        while True:
            ids = sorted(
                alarm.id
                for alarm in self.rows.values()
                if alarm.id > after and tenant in (None, alarm.tenant)
            )
            if not ids:
                return
            yield [self.rows[alarm_id] for alarm_id in ids[:SCAN_ROWS]]
            after = ids[:SCAN_ROWS][-1]

    async def shelved(self) -> AsyncIterator[Sequence[Alarm]]:
        """Yield the rows of all tenants that are shelved until some time, the earliest first, in pages."""
        shelved = [alarm for alarm in self.rows.values() if alarm.shelved_until is not None]
        shelved.sort(key=lambda alarm: (alarm.shelved_until or _NEVER, alarm.id))
        for start in range(0, len(shelved), SCAN_ROWS):
            yield shelved[start : start + SCAN_ROWS]


def _matches(query: AlarmQuery, alarm: Alarm) -> bool:
    return (
        alarm.tenant == query.tenant
        and (alarm.state != "normal" if query.states is None else alarm.state in query.states)
        and (query.severities is None or alarm.severity in query.severities)
        and query.source in (None, alarm.source)
        and query.type in (None, alarm.type)
    )


def _rank(alarm: Alarm) -> tuple[float, str]:
    return -_seconds(alarm.raised_at or _NEVER), alarm.id


def _seconds(time: datetime) -> float:
    return (time - _NEVER).total_seconds()

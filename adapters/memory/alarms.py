"""The alarm list in memory, for tests."""

from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import UTC, datetime

from core.alarm.alarm import Alarm
from core.lists.ports import AlarmCounts
from core.lists.query import IN_SIGHT, AlarmPage, AlarmQuery, is_after, matches, page_of

SCAN_ROWS = 500

_NEVER = datetime.min.replace(tzinfo=UTC)


class MemoryAlarmList:
    """The read model `alarms` (see core.lists.ports.AlarmList) in a dict."""

    def __init__(self) -> None:
        self.rows: dict[str, Alarm] = {}

    async def write(self, rows: Mapping[str, Alarm]) -> None:
        """Replace each row, unless it is at this position or a later one already."""
        for alarm_id, alarm in rows.items():
            known = self.rows.get(alarm_id)
            if known is None or known.position < alarm.position:
                self.rows[alarm_id] = alarm

    async def page(self, query: AlarmQuery) -> AlarmPage:
        """Return one page of the list."""
        return listed(query, self.rows.values())

    async def counts(self, query: AlarmQuery, stale_before: datetime, most: int) -> AlarmCounts:
        """Count the alarms that the query lists."""
        found = [alarm for alarm in self.rows.values() if matches(query, alarm)]
        stale = [
            alarm
            for alarm in found
            if alarm.state in IN_SIGHT and alarm.raised_at is not None and alarm.raised_at < stale_before
        ]
        stale.sort(key=lambda alarm: (alarm.raised_at or _NEVER, alarm.id))
        return AlarmCounts(
            by_state=Counter(alarm.state for alarm in found),
            by_severity=Counter(alarm.severity for alarm in found if alarm.state != "normal"),
            active=sum(alarm.active for alarm in found),
            stale=len(stale),
            oldest=stale[:most],
        )

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


def listed(query: AlarmQuery, alarms: Iterable[Alarm]) -> AlarmPage:
    """Return one page of a list of the alarms."""
    found = [alarm for alarm in alarms if matches(query, alarm) and is_after(query, alarm)]
    found.sort(key=query.order.place, reverse=query.order.reverse)
    return page_of(query, found[: query.limit + 1])

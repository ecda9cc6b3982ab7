"""The outbox in memory, for tests."""

from collections.abc import Callable, Sequence
from datetime import datetime

from msgspec.structs import replace

from core.outbox.ports import EXPIRED, Backlog, OutboxQuery
from core.outbox.row import Row, Settlement


class MemoryOutbox:
    """The outbox (see core.outbox.ports) in a dict; `changed` is called after each change."""

    def __init__(self, changed: Callable[[], None] = lambda: None) -> None:
        self.rows: dict[tuple[int, str], Row] = {}
        self._changed = changed

    async def add(self, rows: Sequence[Row]) -> None:
        """Add the rows; those that exist stay as they are."""
        for row in rows:
            self.rows.setdefault((row.position, row.webhook), row)
        self._changed()

    async def waiting(self) -> frozenset[str]:
        """Return the webhooks that have pending rows."""
        return frozenset(row.webhook for row in self.rows.values() if row.state == "pending")

    async def pending(self, webhook: str, after: int, limit: int) -> Sequence[Row]:
        """Return at most `limit` pending rows of positions > after, in order."""
        return [row for row in self._pending(webhook) if row.position > after][:limit]

    async def lane(self, webhook: str, alarm_id: str, limit: int) -> Sequence[Row]:
        """Return at most `limit` pending rows of the alarm, in order."""
        return [row for row in self._pending(webhook) if row.alarm_id == alarm_id][:limit]

    async def settle(self, settlements: Sequence[Settlement]) -> None:
        """Record the outcome of rows; a row that is not pending stays as it is."""
        for each in settlements:
            key = (each.row.position, each.row.webhook)
            if key in self.rows and self.rows[key].state == "pending":
                self.rows[key] = each.row
        self._changed()

    async def get(self, tenant: str, position: int, webhook: str) -> Row | None:
        """Return one row, without its body; None also for another tenant's."""
        row = self.rows.get((position, webhook))
        return replace(row, body=b"") if row is not None and row.tenant == tenant else None

    async def page(self, query: OutboxQuery) -> Sequence[Row]:
        """Return rows without their bodies, the oldest first."""
        return [
            replace(row, body=b"")
            for key, row in sorted(self.rows.items())
            if row.tenant == query.tenant
            and row.state in query.states
            and query.webhook in (None, row.webhook)
            and (query.after is None or key > query.after)
        ][: query.limit]

    async def revive(self, row: Row, now: datetime) -> bool:
        """Make a dead row pending, as if it had never been tried; False: it is not dead."""
        key = (row.position, row.webhook)
        if key not in self.rows or self.rows[key].state != "dead":
            return False
        self.rows[key] = replace(self.rows[key], state="pending", attempts=0, next_at=now, revived_at=now)
        self._changed()
        return True

    async def expire(self, before: datetime, now: datetime) -> int:
        """Make the pending rows dead that were routed, and last revived, before."""
        old = [
            key
            for key, row in self.rows.items()
            if row.state == "pending"
            and row.routed_at < before
            and (row.revived_at or row.routed_at) < before
        ]
        for key in old:
            self.rows[key] = replace(self.rows[key], state="dead", error=EXPIRED, settled_at=now)
        self._changed()
        return len(old)

    async def hasten(self, row: Row, now: datetime) -> None:
        """Make a pending row due, and those of its alarm and webhook before it."""
        for each in await self.lane(row.webhook, row.alarm_id, len(self.rows)):
            if each.position <= row.position:
                self.rows[each.position, each.webhook] = replace(each, next_at=min(now, each.next_at))
        self._changed()

    async def overtaken(self, row: Row) -> bool:
        """Tell whether the row's alarm and webhook have a later row, in any state."""
        return any(
            (other.webhook, other.alarm_id) == (row.webhook, row.alarm_id) and other.position > row.position
            for other in self.rows.values()
        )

    async def remove(self, webhook: str) -> None:
        """Remove every row of a webhook."""
        self._keep(lambda row: row.webhook != webhook)

    async def newest(self, before: int, limit: int) -> Sequence[tuple[int, str]]:
        """Return position and event id of at most `limit` rows of positions < before, the latest first."""
        latest = sorted(self.rows.items(), reverse=True)
        return [(row.position, row.event_id) for _, row in latest if row.position < before][:limit]

    async def cut(self, position: int) -> None:
        """Remove every row after the position."""
        self._keep(lambda row: row.position <= position)

    async def backlog(self) -> Sequence[Backlog]:
        """Count pending and dead rows, for each webhook that has any."""
        found: dict[tuple[str, str], Backlog] = {}
        for _, row in sorted(self.rows.items()):
            known = found.get((row.webhook, row.tenant), Backlog(webhook=row.webhook, tenant=row.tenant))
            if row.state == "pending":
                known = replace(known, pending=known.pending + 1, oldest=known.oldest or row.routed_at)
            elif row.state == "dead":
                known = replace(known, dead=known.dead + 1)
            else:
                continue
            found[row.webhook, row.tenant] = known
        return [backlog for _, backlog in sorted(found.items())]

    def _pending(self, webhook: str) -> list[Row]:
        rows = [row for row in self.rows.values() if (row.webhook, row.state) == (webhook, "pending")]
        return sorted(rows, key=lambda row: row.position)

    def _keep(self, kept: Callable[[Row], bool]) -> None:
        self.rows = {key: row for key, row in self.rows.items() if kept(row)}
        self._changed()

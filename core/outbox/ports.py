"""What the outbox asks of the outside, and what it is promised. Every method raises Unavailable."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

import msgspec

from core.outbox.row import Row, RowState, Settlement
from core.outbox.schedule import Answer
from core.outbox.webhook import Webhook

KEPT_SECONDS = 7 * 24 * 3600
"""How long a settled row is kept: a delivered one so that routing its event again changes nothing, a dead one
so that it can be retried. The same for both: what overtook a dead row is there for as long as it is."""


class Webhooks(Protocol):
    """The webhooks of all tenants."""

    async def all(self) -> Sequence[Webhook]:
        """Return every webhook, in order of id."""
        ...

    async def get(self, tenant: str, webhook_id: str) -> Webhook | None:
        """Return one; None also for another tenant's."""
        ...

    async def of_tenant(self, tenant: str) -> Sequence[Webhook]:
        """Return a tenant's webhooks, in order of id."""
        ...

    async def add(self, webhook: Webhook) -> bool:
        """Add one, unless the same is there; False, and nothing changed: another one has its id."""
        ...

    async def change(self, tenant: str, webhook_id: str, changes: Mapping[str, Any]) -> Webhook | None:
        """Set these fields, all at once; return the webhook as it is then, None if there is none."""
        ...

    async def remove(self, tenant: str, webhook_id: str) -> bool:
        """Remove one; False: there is none."""
        ...

    async def rescan(self, webhook_id: str) -> None:
        """Let the relay look through its rows anew."""
        ...

    async def rewind(self, position: int) -> None:
        """Let no webhook be routed further than the position: the log behind it is another one."""
        ...


class OutboxQuery(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Which rows of a tenant to list: all given conditions hold.

    `after`: position and webhook of the row before the first.
    """

    tenant: str
    states: frozenset[RowState]
    webhook: str | None = None
    limit: int = 100
    after: tuple[int, str] | None = None


class Backlog(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How many rows of a webhook are pending and dead, and since when the oldest pending one is."""

    webhook: str
    tenant: str
    pending: int = 0
    dead: int = 0
    oldest: datetime | None = None


class Outbox(Protocol):
    """The rows, each by its position and webhook."""

    async def add(self, rows: Sequence[Row]) -> None:
        """Add the rows that are not there; those that are stay as they are. In order: all, or the first."""
        ...

    async def waiting(self) -> frozenset[str]:
        """Return the webhooks of which a row is pending."""
        ...

    async def pending(self, webhook: str, after: int, limit: int) -> Sequence[Row]:
        """Return at most `limit` pending rows of positions > after, in order."""
        ...

    async def lane(self, webhook: str, alarm_id: str, limit: int) -> Sequence[Row]:
        """Return at most `limit` pending rows of the alarm, in order."""
        ...

    async def settle(self, settlements: Sequence[Settlement]) -> None:
        """Record what became of rows, each at most once here; one that is not pending stays as it is."""
        ...

    async def get(self, tenant: str, position: int, webhook: str) -> Row | None:
        """Return one row, without its body; None also for another tenant's."""
        ...

    async def page(self, query: OutboxQuery) -> Sequence[Row]:
        """Return rows without their bodies, the oldest first."""
        ...

    async def revive(self, row: Row, now: datetime) -> bool:
        """Make a dead row pending, as if it had never been tried; False: it is not dead."""
        ...

    async def overtaken(self, row: Row) -> bool:
        """Tell whether there is a later row of its alarm and webhook, whatever became of it."""
        ...

    async def remove(self, webhook: str) -> None:
        """Remove every row of a webhook."""
        ...

    async def newest(self, before: int, limit: int) -> Sequence[tuple[int, str]]:
        """Return position and event id of rows of positions < before, the latest first, at most `limit`."""
        ...

    async def cut(self, position: int) -> None:
        """Remove every row of a position > this one."""
        ...

    async def backlog(self) -> Sequence[Backlog]:
        """Return what is pending and dead, for each webhook that has any."""
        ...


class WebhookSender(Protocol):
    """Makes the calls."""

    async def call(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Post the body and return what came of it, within a bounded time; raises nothing."""
        ...

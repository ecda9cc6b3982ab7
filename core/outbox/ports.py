"""What the outbox asks of the outside, and what it is promised.

Every method that reads or writes webhooks and rows raises Unavailable.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

import msgspec

from core.alarm.events import Event
from core.outbox.row import Row, RowState, Settlement
from core.outbox.schedule import Answer
from core.outbox.webhook import Format, Webhook

KEPT_SECONDS = 7 * 24 * 3600
"""How long a settled row is kept: a delivered one so that routing its event again changes nothing, a dead one
so that it can be retried. The same for both: what overtook a dead row is there for as long as it is."""


class WebhookDirectory(Protocol):
    """The webhooks of all tenants, and changing one: what sends for them needs no more."""

    async def all(self) -> Sequence[Webhook]:
        """Return every webhook, in order of id."""
        ...

    async def change(self, tenant: str, webhook_id: str, changes: Mapping[str, Any]) -> Webhook | None:
        """Set these fields, all at once; return the webhook as it is then, None if there is none."""
        ...


class RoutedWebhooks(WebhookDirectory, Protocol):
    """The webhooks, as what routes for them sees them."""

    async def rewind(self, position: int) -> None:
        """Let no webhook be routed further than the position: the log behind it is another one."""
        ...


class Webhooks(WebhookDirectory, Protocol):
    """The webhooks, as a tenant manages them."""

    async def get(self, tenant: str, webhook_id: str) -> Webhook | None:
        """Return one; None also for another tenant's."""
        ...

    async def of_tenant(self, tenant: str) -> Sequence[Webhook]:
        """Return a tenant's webhooks, in order of id."""
        ...

    async def add(self, webhook: Webhook) -> bool:
        """Add one, unless the same is there; False, and nothing changed: another one has its id."""
        ...

    async def remove(self, tenant: str, webhook_id: str) -> bool:
        """Remove one; False: there is none."""
        ...

    async def rescan(self, webhook_id: str) -> None:
        """Let the relay look through its rows anew."""
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


class RoutedRows(Protocol):
    """The outbox where it is filled: each row by its position and webhook."""

    async def add(self, rows: Sequence[Row]) -> None:
        """Add the rows that are not there; those that are stay as they are. In order: all, or the first."""
        ...

    async def newest(self, before: int, limit: int) -> Sequence[tuple[int, str]]:
        """Return position and event id of rows of positions < before, the latest first, at most `limit`."""
        ...

    async def cut(self, position: int) -> None:
        """Remove every row of a position > this one."""
        ...


class PendingRows(Protocol):
    """The outbox where it is emptied."""

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

    async def remove(self, webhook: str) -> None:
        """Remove every row of a webhook."""
        ...


class TenantRows(Protocol):
    """The outbox as a tenant looks into it."""

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


class BacklogReader(Protocol):
    """The outbox as it is counted."""

    async def backlog(self) -> Sequence[Backlog]:
        """Return what is pending and dead, for each webhook that has any."""
        ...


class WebhookFormat(Protocol):
    """How receivers of one kind are told. Raises nothing."""

    @property
    def content_type(self) -> str:
        """The media type of its bodies."""
        ...

    def render(self, event: Event, *, left: bool) -> bytes | None:
        """Return the body for an event, None where there is nothing to say about it.

        `left`: the alarm is not the webhook's any more. The body depends on nothing else, so that whoever
        renders it gets the same bytes.
        """
        ...

    def test_body(self, webhook: Webhook, event_id: str, now: datetime) -> bytes:
        """Return the body of a test: it is of no alarm, and pages nobody."""
        ...

    def sealed(self, webhook: Webhook, body: bytes) -> bytes:
        """Return the body with what only the receiver may see, and the outbox does not keep."""
        ...


Formats = Mapping[Format, WebhookFormat]
"""Every format by its name."""


class WebhookMessage(msgspec.Struct, frozen=True, gc=False):
    """What is sent, the same on every try; `trace` is a W3C traceparent."""

    id: str
    body: bytes
    trace: str | None = None


class WebhookSender(Protocol):
    """Makes the calls."""

    async def send(self, webhook: Webhook, message: WebhookMessage, now: datetime) -> Answer:
        """Post the message, sealed and signed for the webhook, and return what came of it; raises nothing.

        It takes a bounded time. The message's id stays the same on every try, its timestamp is of this one.
        """
        ...


class CheckingSender(WebhookSender, Protocol):
    """A sender that also knows which addresses it would refuse."""

    def check_url(self, url: str) -> None:
        """Check the address of a webhook, as far as it can be without calling it. Raises InvalidInput."""
        ...

"""The ports of the outbox, and their guarantees.

Every method that reads or writes webhooks and rows raises Unavailable.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

import msgspec

from core.alarm.events import Event
from core.outbox.row import Row, RowState, Settlement
from core.outbox.schedule import CallResult
from core.outbox.webhook import Format, FormatTraits, Webhook

KEPT_SECONDS = 7 * 24 * 3600
"""How long a settled row is kept: a delivered one so that routing its event again changes nothing, a dead one
so that it can be retried. Both stay equally long: a dead row never outlives a row that overtook it."""


PENDING_DAYS = 7.0
"""How long a row may be pending, unless the settings say otherwise."""
EXPIRED = "it was pending for too long"
"""The error of a row that was given up for its age."""


class WebhookDirectory(Protocol):
    """The webhooks of all tenants, as the relay and the file of webhooks need them."""

    async def all(self) -> Sequence[Webhook]:
        """Return every webhook, in order of id."""
        ...

    async def stored(self, webhook_ids: Iterable[str]) -> frozenset[str]:
        """Return those of the ids that a webhook has, of whatever tenant or version."""
        ...

    async def change(self, tenant: str, webhook_id: str, changes: Mapping[str, Any]) -> Webhook | None:
        """Set these fields, all at once; return the changed webhook, None if there is none."""
        ...


class RoutedWebhooks(WebhookDirectory, Protocol):
    """The webhooks, as the router needs them."""

    async def take_over(self, since: int, by: int) -> None:
        """Have the router with the lease token `by` cover each webhook that has joined.

        Left out are those that a router with a token below `since` let join: others had led before it did.
        """
        ...

    async def rewind(self, position: int) -> None:
        """Lower every `after` to the position at most: the log behind it was replaced."""
        ...


class Webhooks(Protocol):
    """The webhooks, as tenants manage them."""

    async def get(self, tenant: str, webhook_id: str) -> Webhook | None:
        """Return the webhook, None if the tenant has no such webhook."""
        ...

    async def of_tenant(self, tenant: str) -> Sequence[Webhook]:
        """Return a tenant's webhooks, in order of id."""
        ...

    async def change(self, tenant: str, webhook_id: str, changes: Mapping[str, Any]) -> Webhook | None:
        """Set these fields, all at once; return the changed webhook, None if there is none."""
        ...

    async def add(self, webhook: Webhook) -> bool:
        """Add a webhook, unless it is there already; return False if another webhook has its id."""
        ...

    async def remove(self, tenant: str, webhook_id: str) -> bool:
        """Remove a webhook; return False if there is none."""
        ...

    async def rescan(self, webhook_id: str) -> None:
        """Make the relay read the webhook's rows anew."""
        ...


class OutboxQuery(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Which rows of a tenant to list: all given conditions hold.

    `after`: the position and webhook of the row before the first to list.
    """

    tenant: str
    states: frozenset[RowState]
    webhook: str | None = None
    limit: int = 100
    after: tuple[int, str] | None = None


class Backlog(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How many rows of a webhook are pending and dead, and when the first pending one was routed."""

    webhook: str
    tenant: str
    pending: int = 0
    dead: int = 0
    oldest: datetime | None = None


class RoutedRows(Protocol):
    """The outbox, as the router fills it: each row by its position and webhook."""

    async def add(self, rows: Sequence[Row]) -> None:
        """Add the missing rows in order, all or only the first ones; rows already there stay unchanged."""
        ...

    async def newest(self, before: int, limit: int) -> Sequence[tuple[int, str]]:
        """Return position and event id of rows of positions < before, the latest first, at most `limit`."""
        ...

    async def cut(self, position: int) -> None:
        """Remove every row of a position > `position`."""
        ...


class PendingRows(Protocol):
    """The outbox, as the relay empties it. A row that cannot be read becomes dead rather than be returned."""

    async def waiting(self) -> frozenset[str]:
        """Return the webhooks that have a pending row."""
        ...

    async def pending(self, webhook: str, after: int, limit: int) -> Sequence[Row]:
        """Return at most `limit` pending rows of positions > after, in order."""
        ...

    async def lane(self, webhook: str, alarm_id: str, limit: int) -> Sequence[Row]:
        """Return at most `limit` pending rows of the alarm, in order."""
        ...

    async def settle(self, settlements: Sequence[Settlement]) -> None:
        """Record the outcomes of different rows; a row that is not pending stays unchanged."""
        ...

    async def expire(self, before: datetime, now: datetime) -> int:
        """Make the pending rows dead that were routed, and last revived, before; return their number."""
        ...

    async def remove(self, webhook: str) -> None:
        """Remove every row of a webhook."""
        ...


class TenantRows(Protocol):
    """The outbox, as a tenant sees it."""

    async def get(self, tenant: str, position: int, webhook: str) -> Row | None:
        """Return one row, without its body; None if the tenant has no such row."""
        ...

    async def page(self, query: OutboxQuery) -> Sequence[Row]:
        """Return rows without their bodies, the oldest first."""
        ...

    async def revive(self, row: Row, now: datetime) -> bool:
        """Make a dead row pending, as if never tried; return False if it is not dead."""
        ...

    async def hasten(self, row: Row, now: datetime) -> None:
        """Make a pending row due, and those of its alarm and webhook that must go before it."""
        ...

    async def overtaken(self, row: Row) -> bool:
        """Tell whether its alarm and webhook have a later row, in any state."""
        ...

    async def remove(self, webhook: str) -> None:
        """Remove every row of a webhook."""
        ...


class BacklogReader(Protocol):
    """Counts the rows of the outbox."""

    async def backlog(self) -> Sequence[Backlog]:
        """Return the pending and dead rows' counts, for each webhook that has any."""
        ...


class WebhookFormat(Protocol):
    """Renders bodies for receivers of one kind. Raises nothing."""

    @property
    def traits(self) -> FormatTraits:
        """What sets the format apart."""
        ...

    def render(self, event: Event, *, left: bool) -> bytes | None:
        """Return the body for an event, None if the receiver needs none.

        `left`: the alarm no longer matches the webhook's filter. The body depends on nothing else, so that
        every process renders the same bytes.
        """
        ...

    def test_body(self, webhook: Webhook, event_id: str, now: datetime) -> bytes:
        """Return the body of a test, which is about no alarm and pages nobody."""
        ...

    def sealed(self, webhook: Webhook, body: bytes) -> bytes:
        """Return the body with the secrets that only the receiver may see and the outbox does not store."""
        ...


Formats = Mapping[Format, WebhookFormat]
"""Every format by its name."""


class WebhookMessage(msgspec.Struct, frozen=True, gc=False):
    """The message to send, the same on every try; `trace` is a W3C traceparent."""

    id: str
    body: bytes
    trace: str | None = None


class WebhookSender(Protocol):
    """Posts messages to webhooks."""

    async def send(self, webhook: Webhook, message: WebhookMessage, now: datetime) -> CallResult:
        """Post the message, sealed and signed for the webhook, in bounded time. Raises nothing.

        The message's id stays the same on every try; its timestamp is that of the try.
        """
        ...


class CheckingSender(WebhookSender, Protocol):
    """A sender that also checks addresses in advance."""

    def check_url(self, url: str) -> None:
        """Check a webhook's address, as far as possible without a call. Raises InvalidInput."""
        ...

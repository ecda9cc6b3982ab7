"""Manages webhooks and the outbox."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from core.errors import Conflict, InvalidInput, UnknownRow, UnknownWebhook
from core.host import Clock, Ids
from core.log.ports import LogPositions
from core.outbox.ports import CheckingSender, Formats, OutboxQuery, TenantRows, WebhookMessage, Webhooks
from core.outbox.row import Row, parse_row_id
from core.outbox.schedule import CallResult
from core.outbox.webhook import SECRETS, WEBHOOKS, Format, FormatTraits, Webhook, not_signed, secret_of

RETRIED_AT_ONCE = 1_000
"""How many dead rows one bulk retry looks at."""

Start = int | Literal["now"]
"""The position after which a webhook starts; `now`: the log's tail."""


class Retried(msgspec.Struct, frozen=True):
    """A bulk retry's result: how many rows are pending again or were overtaken, and where to go on."""

    retried: int
    overtaken: int
    next: str | None


@dataclass(frozen=True, slots=True)
class WebhookAdministration:
    """Manages the webhooks and the outbox. Every method raises Unavailable."""

    webhooks: Webhooks
    outbox: TenantRows
    sender: CheckingSender
    log: LogPositions
    clock: Clock
    ids: Ids
    formats: Formats

    def traits(self, webhook_format: Format) -> FormatTraits:
        """Return what sets a format apart."""
        return self.formats[webhook_format].traits

    async def create(self, webhook: Webhook, start: Start) -> Webhook:
        """Add a webhook, with a new secret if its format is signed and it has none.

        Raises:
            InvalidInput: a field is out of bounds.
            Conflict: the tenant has as many webhooks as it can have, or one with this id.
        """
        traits = self.traits(webhook.format)
        if traits.signed and not webhook.secrets:
            webhook = msgspec.structs.replace(webhook, secrets=(secret_of(self.ids.secret()),))
        webhook.check(traits)
        self.sender.check_url(webhook.url)
        if len(await self.webhooks.of_tenant(webhook.tenant)) >= WEBHOOKS:
            raise Conflict("too_many_webhooks", f"a tenant has at most {WEBHOOKS} webhooks")
        webhook = msgspec.structs.replace(webhook, after=await self.position(start))
        if not await self.webhooks.add(webhook):
            raise Conflict("webhook_exists", f"there is a webhook {webhook.id} already")
        return webhook

    async def change(self, webhook: Webhook, changes: Mapping[str, Any], start: Start | None) -> Webhook:
        """Change these fields; `start` moves a disabled webhook forward, past events it is not to get.

        Raises:
            InvalidInput: a field is out of bounds.
            Conflict: the webhook is enabled, or was routed past `start`.
            UnknownWebhook: the webhook was removed meanwhile.
        """
        changes = dict(changes)
        if changes.get("enabled"):
            changes["disabled_reason"] = None
        if start is not None:
            changes |= {"after": await self._moved(webhook, start), "joined": False}
        msgspec.structs.replace(webhook, **changes).check(self.traits(webhook.format))
        if "url" in changes:
            self.sender.check_url(changes["url"])
        if not changes:
            return webhook
        changed = await self.webhooks.change(webhook.tenant, webhook.id, changes)
        if changed is None:
            raise UnknownWebhook
        return changed

    async def remove(self, tenant: str, webhook_id: str) -> None:
        """Remove a webhook and its rows. Raises UnknownWebhook."""
        if not await self.webhooks.remove(tenant, webhook_id):
            raise UnknownWebhook
        # The relay removes the rows that the router writes meanwhile.
        await self.outbox.remove(webhook_id)

    async def test(self, webhook: Webhook) -> CallResult:
        """Make one call to the webhook, at once and only once."""
        event_id, now = self.ids.new(), self.clock.now()
        body = self.formats[webhook.format].test_body(webhook, event_id, now)
        return await self.sender.send(webhook, WebhookMessage(event_id, body), now)

    async def retry(self, tenant: str, row_id: str) -> Row:
        """Make a dead row pending again; a pending row is due at once, after earlier ones of its alarm.

        Raises:
            UnknownRow: there is no such row.
            Conflict: the row was delivered, was never rendered, or a later row has overtaken it and its
                receiver keeps a state.
        """
        key = parse_row_id(row_id)
        row = None if key is None else await self.outbox.get(tenant, *key)
        webhook = None if row is None else await self.webhooks.get(tenant, row.webhook)
        if row is None or webhook is None:
            raise UnknownRow
        if row.state == "delivered":
            raise Conflict("already_delivered", "the row was delivered")
        if row.unrendered:
            raise Conflict("not_rendered", f"the row has no body to send: {row.error}")
        if row.state == "dead" and not await self._revived(row, webhook):
            raise Conflict(
                "overtaken",
                "a later row of this alarm has overtaken this one: sending this one would undo it",
            )
        if row.state == "pending":
            await self.outbox.hasten(row, self.clock.now())
        # Also for a pending row: the process that revived it may have ended before the rescan.
        await self.webhooks.rescan(webhook.id)
        return await self.outbox.get(tenant, row.position, row.webhook) or row

    async def retry_all(self, tenant: str, webhook_id: str | None, after: tuple[int, str] | None) -> Retried:
        """Make dead rows pending again, RETRIED_AT_ONCE at most, the oldest first."""
        webhooks = {webhook.id: webhook for webhook in await self.webhooks.of_tenant(tenant)}
        query = OutboxQuery(
            tenant=tenant, states=frozenset({"dead"}), webhook=webhook_id, limit=RETRIED_AT_ONCE, after=after
        )
        rows = await self.outbox.page(query)
        known = [row for row in rows if row.webhook in webhooks and not row.unrendered]
        try:
            revived = [row for row in known if await self._revived(row, webhooks[row.webhook])]
        finally:
            for name in sorted({row.webhook for row in known}):
                await self.webhooks.rescan(name)
        following = rows[-1].id if len(rows) == RETRIED_AT_ONCE else None
        return Retried(len(revived), len(known) - len(revived), following)

    def rotated(self, webhook: Webhook) -> tuple[str, ...]:
        """Return the secrets with a new one in front; too many push out the oldest.

        Raises:
            InvalidInput: the webhook's format is not signed.
        """
        if not self.traits(webhook.format).signed:
            raise not_signed(webhook.format)
        return (secret_of(self.ids.secret()), *webhook.secrets)[:SECRETS]

    async def position(self, start: Start) -> int:
        """Return the position after which a webhook starts. Raises InvalidInput if the log lacks it."""
        tail = (await self.log.tail()).position
        if start == "now":
            return tail
        if not 0 <= start <= tail:
            raise InvalidInput(f"after must be now, or a position of the log, which is at {tail}")
        return start

    async def _moved(self, webhook: Webhook, start: Start) -> int:
        if webhook.enabled:
            raise Conflict("webhook_enabled", "only a disabled webhook can be moved: disable it first")
        position = await self.position(start)
        if position < webhook.after:
            raise Conflict(
                "already_routed",
                f"events up to {webhook.after} are routed; create a new webhook to get them again",
            )
        return position

    async def _revived(self, row: Row, webhook: Webhook) -> bool:
        if self.traits(webhook.format).stateful and await self.outbox.overtaken(row):
            return False
        await self.outbox.revive(row, self.clock.now())
        return True

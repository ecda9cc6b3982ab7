"""Webhooks in memory, for tests."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from core.outbox.webhook import Webhook, same_definition


class MemoryWebhooks:
    """The webhooks (see core.outbox.ports) in a dict; `changed` is called after each change."""

    def __init__(self, changed: Callable[[], None] = lambda: None) -> None:
        self._webhooks: dict[str, Webhook] = {}
        self._changed = changed

    async def all(self) -> Sequence[Webhook]:
        """Return every webhook, in order of id."""
        return [webhook for _, webhook in sorted(self._webhooks.items())]

    async def stored(self, webhook_ids: Iterable[str]) -> frozenset[str]:
        """Return those of the ids that a webhook has."""
        return frozenset(webhook_ids) & self._webhooks.keys()

    async def of_tenant(self, tenant: str) -> Sequence[Webhook]:
        """Return a tenant's webhooks, in order of id."""
        return [webhook for webhook in await self.all() if webhook.tenant == tenant]

    async def get(self, tenant: str, webhook_id: str) -> Webhook | None:
        """Return a webhook; None also for another tenant's."""
        webhook = self._webhooks.get(webhook_id)
        return webhook if webhook is not None and webhook.tenant == tenant else None

    async def add(self, webhook: Webhook) -> bool:
        """Add a webhook; False, and nothing changed: a different one has its id."""
        stored = self._webhooks.get(webhook.id)
        if stored is not None:
            return same_definition(stored, webhook)
        self._put(webhook)
        return True

    async def change(self, tenant: str, webhook_id: str, changes: Mapping[str, Any]) -> Webhook | None:
        """Set these fields at once; return the changed webhook, None if there is none."""
        webhook = await self.get(tenant, webhook_id)
        if webhook is None:
            return None
        webhook = msgspec.structs.replace(webhook, **changes)
        self._put(webhook)
        return webhook

    async def remove(self, tenant: str, webhook_id: str) -> bool:
        """Remove a webhook; False: there is none."""
        if await self.get(tenant, webhook_id) is None:
            return False
        del self._webhooks[webhook_id]
        self._changed()
        return True

    async def rescan(self, webhook_id: str) -> None:
        """Have the relay scan the webhook's rows again."""
        webhook = self._webhooks.get(webhook_id)
        if webhook is not None:
            self._put(msgspec.structs.replace(webhook, rescans=webhook.rescans + 1))

    async def take_over(self, since: int, by: int) -> None:
        """Have a router cover each webhook that has joined, but for those that a late one let join."""
        for webhook in await self.all():
            if webhook.joined and (webhook.joined_by == 0 or webhook.joined_by >= since):
                self._put(msgspec.structs.replace(webhook, joined_by=max(by, webhook.joined_by)))

    async def rewind(self, position: int) -> None:
        """Set back to the position every webhook routed further: the log after it has changed."""
        for webhook in await self.all():
            if webhook.after > position:
                self._put(msgspec.structs.replace(webhook, after=position))

    def _put(self, webhook: Webhook) -> None:
        self._webhooks[webhook.id] = webhook
        self._changed()

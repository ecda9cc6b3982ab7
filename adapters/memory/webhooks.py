"""Webhooks in memory, for tests."""

from collections.abc import Callable, Mapping, Sequence
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

    async def of_tenant(self, tenant: str) -> Sequence[Webhook]:
        """Return a tenant's webhooks, in order of id."""
        return [webhook for webhook in await self.all() if webhook.tenant == tenant]

    async def get(self, tenant: str, webhook_id: str) -> Webhook | None:
        """Return one; None also for another tenant's."""
        webhook = self._webhooks.get(webhook_id)
        return webhook if webhook is not None and webhook.tenant == tenant else None

    async def add(self, webhook: Webhook) -> bool:
        """Add one; False, and nothing changed: there is one with its id."""
        there = self._webhooks.get(webhook.id)
        if there is not None:
            return same_definition(there, webhook)
        self._put(webhook)
        return True

    async def change(self, tenant: str, webhook_id: str, changes: Mapping[str, Any]) -> Webhook | None:
        """Set these fields, all at once; return the webhook as it is then, None if there is none."""
        webhook = await self.get(tenant, webhook_id)
        if webhook is None:
            return None
        webhook = msgspec.structs.replace(webhook, **changes)
        self._put(webhook)
        return webhook

    async def remove(self, tenant: str, webhook_id: str) -> bool:
        """Remove one; False: there is none."""
        if await self.get(tenant, webhook_id) is None:
            return False
        del self._webhooks[webhook_id]
        self._changed()
        return True

    async def rescan(self, webhook_id: str) -> None:
        """Let the relay look through its rows anew."""
        webhook = self._webhooks.get(webhook_id)
        if webhook is not None:
            self._put(msgspec.structs.replace(webhook, rescans=webhook.rescans + 1))

    async def rewind(self, position: int) -> None:
        """Let no webhook be routed further than the position: the log behind it is another one."""
        for webhook in await self.all():
            if webhook.after > position:
                self._put(msgspec.structs.replace(webhook, after=position))

    def _put(self, webhook: Webhook) -> None:
        self._webhooks[webhook.id] = webhook
        self._changed()

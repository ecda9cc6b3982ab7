"""The relay: sends the rows of the outbox to their webhooks (ADR 0022)."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import ClassVar

from core.application.waiting import first_of
from core.application.webhooks.counts import CallCounts
from core.application.webhooks.endpoint import Count, Endpoint, RelayParts
from core.application.webhooks.settler import Settler
from core.application.workers.leader import Candidate
from core.application.workers.worker import Worker
from core.coordination.ports import Lease
from core.outbox.row import Settlement
from core.outbox.schedule import CallResult

RELAY_LEASE = "relay"
EXPIRY_SECONDS = 3_600.0
"""How often the rows are looked for that have been pending for too long."""
COUNTED_WEBHOOKS = 1_000
"""For how many webhooks the relay keeps counts."""


class Relay(Worker):
    """Sends pending rows, in one process at a time: at least once, in order per alarm and webhook.

    The outbox's bell and the earliest due time wake it. A call's result is recorded before the next row of
    that alarm goes out; if the leader ends before that, the next leader repeats the call.
    """

    logger: ClassVar = logging.getLogger("tocsin.relay")
    again: ClassVar = "looking through the outbox again"

    def __init__(self, parts: RelayParts, candidate: Candidate) -> None:
        super().__init__(candidate, RELAY_LEASE)
        self._parts = parts
        self.counts: dict[str, CallCounts] = {}
        """The counts of each webhook's calls, by the webhook's id."""

    async def _work_once(self, _: Lease) -> None:
        await _Relaying(self._parts, self._count).run(self._succeeded)

    def _count(self, webhook: str, answer: CallResult, settlement: Settlement) -> None:
        counts = self.counts.get(webhook)
        if counts is None:
            if len(self.counts) >= COUNTED_WEBHOOKS:
                self.counts.pop(next(iter(self.counts)))
            counts = self.counts[webhook] = CallCounts(settlement.row.tenant)
        counts.count(answer, settlement)


class _Relaying:
    """One run through the outbox, until MongoDB cannot be reached."""

    def __init__(self, parts: RelayParts, count: Count) -> None:
        self._parts = parts
        self._count = count
        self._settler = Settler(parts.outbox)
        self._endpoints: dict[str, Endpoint] = {}

    async def run(self, succeeded: Callable[[], None]) -> None:
        """Relay; call `succeeded` after each look at the outbox. Raises an ExceptionGroup of Unavailable."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._settler.run())
            tasks.create_task(self._expire())
            tasks.create_task(self._coordinate(tasks, succeeded))

    async def _coordinate(self, tasks: asyncio.TaskGroup, succeeded: Callable[[], None]) -> None:
        bell = self._parts.bell
        # Listen before reading: a change in between would be missed.
        changed, more = bell("webhooks"), bell("outbox")
        await self._load_webhooks(tasks)
        while True:
            await self._poke(tasks)
            succeeded()
            await first_of(changed.wait(), more.wait())
            if changed.is_set():
                changed = bell("webhooks")
                await self._load_webhooks(tasks)
            more = bell("outbox")

    async def _expire(self) -> None:
        """Give up old rows, those of disabled webhooks too, at once and then once in a while."""
        while True:
            now = self._parts.clock.now()
            expired = await self._parts.outbox.expire(now - self._parts.pending_for, now)
            if expired:
                Relay.logger.warning("%d rows were pending for too long, and are dead", expired)
            await asyncio.sleep(EXPIRY_SECONDS)

    async def _load_webhooks(self, tasks: asyncio.TaskGroup) -> None:
        """Load the webhooks, and begin, change or end endpoints to match."""
        webhooks = {webhook.id: webhook for webhook in await self._parts.webhooks.all()}
        for name in [name for name in self._endpoints if name not in webhooks or not webhooks[name].enabled]:
            self._endpoints.pop(name).end()
        for name, webhook in webhooks.items():
            if name in self._endpoints:
                self._endpoints[name].change(webhook)
            elif webhook.enabled:
                endpoint = Endpoint(self._parts, webhook, self._settler, self._count)
                endpoint.begin(tasks)
                self._endpoints[name] = endpoint

    async def _poke(self, tasks: asyncio.TaskGroup) -> None:
        """Wake the endpoints that have rows to send; remove the rows of deleted webhooks."""
        waiting = await self._parts.outbox.waiting()
        if not waiting <= self._endpoints.keys():
            await self._load_webhooks(tasks)
            await self._remove_orphans(waiting - self._endpoints.keys())
        for name in waiting & self._endpoints.keys():
            self._endpoints[name].poke()

    async def _remove_orphans(self, names: Iterable[str]) -> None:
        """Remove rows that have no webhook: a webhook is always there before its first row."""
        names = frozenset(names)
        for name in sorted(names - await self._parts.webhooks.stored(names)):
            await self._parts.outbox.remove(name)

"""The relay: sends the rows of the outbox to their webhooks (ADR 0022)."""

import asyncio
import logging
import random
from collections.abc import Iterable

from core.application.webhooks.counts import CallCounts
from core.application.webhooks.endpoint import RETRY_SECONDS, Count, Endpoint, RelayParts, Settler
from core.application.workers.leader import LeaderTask
from core.backoff import backoff
from core.coordination.ports import Lease, Leases
from core.errors import Unavailable
from core.outbox.row import Settlement
from core.outbox.schedule import Answer

logger = logging.getLogger("tocsin.relay")

RELAY_LEASE = "relay"
COUNTED = 1_000
"""Of how many webhooks counts are kept."""


class Relay:
    """Sends what is pending, in one process at a time: at least once, in order per alarm and webhook.

    It is woken by the outbox and by the earliest time at which a row is due. What became of a call is
    recorded before the next row of that alarm goes out; until then, whoever leads next makes the call again.
    """

    def __init__(self, parts: RelayParts, leases: Leases, holder: str) -> None:
        self._parts = parts
        self.task = LeaderTask(leases, RELAY_LEASE, holder, self.work)
        self.counts: dict[str, CallCounts] = {}
        """By webhook, what its calls came to."""

    @property
    def status(self) -> str:
        """`leading` or `standby`."""
        return self.task.status

    async def run(self) -> None:
        """Relay for ever; cancelling it lets go of the lease."""
        await self.task.run()

    def log_replaced(self) -> None:
        """Look through the whole outbox again: the feed has seen another log."""
        self.task.restart()

    async def work(self, _: Lease) -> None:
        """Relay until the lease is lost, through every outage."""
        failures = 0
        while True:
            relaying = _Relaying(self._parts, self._count)
            try:
                await relaying.run()
            except* Unavailable as group:
                failures = 1 if relaying.looked else failures + 1
                if failures > 1:
                    logger.warning("looking through the outbox again: %s", group.exceptions[0])
            await asyncio.sleep(backoff(failures, 0.05, RETRY_SECONDS, random.random()))

    def _count(self, webhook: str, answer: Answer, settlement: Settlement) -> None:
        counts = self.counts.get(webhook)
        if counts is None:
            if len(self.counts) >= COUNTED:
                self.counts.pop(next(iter(self.counts)))
            counts = self.counts[webhook] = CallCounts()
        counts.count(answer, settlement)


class _Relaying:
    """One go through the outbox, until MongoDB cannot be reached."""

    def __init__(self, parts: RelayParts, count: Count) -> None:
        self._parts = parts
        self._count = count
        self._settler = Settler(parts.outbox)
        self._endpoints: dict[str, Endpoint] = {}
        self.looked = False
        """Whether it has got so far as to know what is pending."""

    async def run(self) -> None:
        """Relay. Raises an ExceptionGroup of Unavailable."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._settler.run())
            tasks.create_task(self._coordinate(tasks))

    async def _coordinate(self, tasks: asyncio.TaskGroup) -> None:
        bell = self._parts.bell
        # Listen before reading: a change in between would be missed.
        changed, more = bell("webhooks"), bell("outbox")
        await self._look(tasks)
        while True:
            await self._poke(tasks)
            self.looked = True
            await _either(changed, more)
            if changed.is_set():
                changed = bell("webhooks")
                await self._look(tasks)
            more = bell("outbox")

    async def _look(self, tasks: asyncio.TaskGroup) -> None:
        """Take note of the webhooks as they are now."""
        found = {webhook.id: webhook for webhook in await self._parts.webhooks.all()}
        for name in [name for name in self._endpoints if name not in found or not found[name].enabled]:
            self._endpoints.pop(name).end()
        for name, webhook in found.items():
            if name in self._endpoints:
                self._endpoints[name].change(webhook)
            elif webhook.enabled:
                endpoint = Endpoint(self._parts, webhook, self._settler, self._count)
                endpoint.begin(tasks)
                self._endpoints[name] = endpoint

    async def _poke(self, tasks: asyncio.TaskGroup) -> None:
        """Tell the endpoints that have something to send; remove what is left of deleted webhooks."""
        waiting = await self._parts.outbox.waiting()
        if not waiting <= self._endpoints.keys():
            await self._look(tasks)
            await self._remove_orphans(waiting - self._endpoints.keys())
        for name in waiting & self._endpoints.keys():
            self._endpoints[name].poke()

    async def _remove_orphans(self, names: Iterable[str]) -> None:
        """Remove the rows of webhooks that are not there: a row is never there before its webhook."""
        known = {webhook.id for webhook in await self._parts.webhooks.all()}
        for name in sorted(set(names) - known):
            await self._parts.outbox.remove(name)


async def _either(*bells: asyncio.Event) -> None:
    """Wait until one of the bells has rung."""
    waiting = [asyncio.ensure_future(bell.wait()) for bell in bells]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waiting:
            each.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

"""The router: writes an outbox row for each event and each webhook that wants it (ADR 0021)."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from core.alarm.events import Event
from core.application.bells import Bell
from core.application.checkpoints import belongs_in_time
from core.application.feed import Follow
from core.application.waiting import Arrivals, cancelled
from core.application.workers.leader import Candidate
from core.application.workers.worker import Worker
from core.coordination.ports import Checkpoint, Checkpoints, Lease
from core.errors import LogMismatch
from core.host import Chance, Clock
from core.log.ports import EventReader
from core.outbox.ports import Formats, RoutedRows, RoutedWebhooks
from core.outbox.routing import WebhookRoutes
from core.outbox.row import Row
from core.outbox.webhook import Webhook

logger = logging.getLogger("tocsin.router")

ROUTING = "outbox"
"""The name of the router's checkpoint."""
ROUTER_LEASE = "router"
BATCH_EVENTS = 1_000
IDLE_EVENTS = 1_000
"""After so many events that match no webhook the checkpoint moves all the same."""
JOINING_AT_ONCE = 4
"""How many webhooks catch up at the same time; each reads the log on its own."""
COMPARED_ROWS = 10_000
"""How many rows are compared with a replaced log, to find where it parted from the old one."""
COMPARED_PAGE = 500


@dataclass(frozen=True, slots=True)
class RouterParts:
    """The ports and functions that the router works with."""

    log: EventReader
    webhooks: RoutedWebhooks
    outbox: RoutedRows
    checkpoints: Checkpoints
    follow: Follow
    bell: Bell
    clock: Clock
    formats: Formats


class Router(Worker):
    """Follows the log with one checkpoint for all webhooks that have joined, in one process at a time.

    A webhook that is new, or enabled again, first catches up with the others: until it joins, its `after` is
    its own checkpoint. So it misses no event from before this process heard of it. A crash at any point, a
    second leader or a repeated event changes nothing: a row has one id.
    """

    logger: ClassVar = logger
    again: ClassVar = "routing again from the checkpoint"
    first_pause_seconds: ClassVar = 0.02

    def __init__(self, parts: RouterParts, candidate: Candidate) -> None:
        super().__init__(candidate, ROUTER_LEASE)
        self._parts = parts

    async def _work_once(self, lease: Lease) -> None:
        await _Routing(self._parts, lease, self._chance).run(self._succeeded)


class _Routing:
    """One run from the checkpoint on, until something interrupts it."""

    def __init__(self, parts: RouterParts, lease: Lease, chance: Chance) -> None:
        self._parts = parts
        self._lease = lease
        self._chance = chance
        self._at = Checkpoint(0, "", 0)
        self._written = 0
        # The webhooks that the checkpoint covers, whatever another leader writes meanwhile.
        self._joined: dict[str, Webhook] = {}
        self._routes = WebhookRoutes((), parts.formats)
        self._joining: dict[str, tuple[Webhook, asyncio.Task[int]]] = {}
        self._places = asyncio.Semaphore(JOINING_AT_ONCE)

    async def run(self, succeeded: Callable[[], None]) -> None:
        """Route until another process moves the checkpoint; call `succeeded` after each batch."""
        changed = self._parts.bell("webhooks")
        await self._resume()
        try:
            async with Arrivals(self._parts.follow(self._at.position)) as arrivals:
                await self._load_webhooks()
                while True:
                    joining = [task for _, task in self._joining.values()]
                    events = await arrivals.next(changed.wait(), watched=joining)
                    if changed.is_set():
                        # Listen before reading: a change in between would be missed.
                        changed = self._parts.bell("webhooks")
                        await self._load_webhooks()
                    await self._join_ready()
                    for start in range(0, len(events), BATCH_EVENTS):
                        if not await self._route(events[start : start + BATCH_EVENTS]):
                            return
                    succeeded()
        finally:
            await cancelled([task for _, task in self._joining.values()])

    async def _resume(self) -> None:
        """Find the position to resume from, and keep a paused leader from moving the checkpoint."""
        parts = self._parts
        # Before anything of this leader moves the checkpoint: its token would then hide who led before.
        before = await parts.checkpoints.token(ROUTING)
        if before > self._lease.token:
            raise LogMismatch("another router leads")
        await parts.webhooks.take_over(before, self._lease.token)
        at = await parts.checkpoints.load(ROUTING)
        if not await belongs_in_time(parts.log, at, self._chance):
            at = await self._set_back(at)
        if not any(self._covers(webhook) for webhook in await parts.webhooks.all()):
            # No webhook needs the events in between.
            tail = await parts.log.tail()
            at = Checkpoint(tail.position, tail.event_id, at.generation)
        if not await parts.checkpoints.advance(ROUTING, self._lease, at):
            raise LogMismatch("another router has moved the checkpoint")
        self._at, self._written = at, at.position
        joined = [webhook for webhook in await parts.webhooks.all() if self._covers(webhook)]
        self._joined = {webhook.id: webhook for webhook in joined}

    def _covers(self, webhook: Webhook) -> bool:
        """Tell whether this leader covers the webhook, and no earlier one let it join in arrears."""
        return webhook.joined and webhook.joined_by >= self._lease.token

    async def _load_webhooks(self) -> None:
        """Load the webhooks; drop those that are disabled, and start the catch-up of those that must join."""
        webhooks = {webhook.id: webhook for webhook in await self._parts.webhooks.all()}
        joined = [webhooks[name] for name in self._joined if name in webhooks and webhooks[name].joined]
        for webhook in joined:
            if not webhook.enabled:
                await self._change(webhook, joined=False, after=self._at.position)
        self._joined = {webhook.id: webhook for webhook in joined if webhook.enabled}
        self._routes = WebhookRoutes(self._joined.values(), self._parts.formats)
        wanted = {
            name: webhook
            for name, webhook in webhooks.items()
            if webhook.enabled and name not in self._joined
        }
        stale = [
            name
            for name, (webhook, _) in self._joining.items()
            if name not in wanted or wanted[name].filter != webhook.filter
        ]
        await cancelled([self._joining.pop(name)[1] for name in stale])
        for name, webhook in wanted.items():
            if name not in self._joining:
                self._joining[name] = (webhook, asyncio.create_task(self._catch_up(webhook)))

    async def _catch_up(self, webhook: Webhook) -> int:
        """Route the events before the checkpoint; return the position reached. `after` keeps the progress."""
        routes, after = WebhookRoutes([webhook], self._parts.formats), webhook.after
        async with self._places:
            while after < self._at.position:
                after = await self._route_page(routes, after)
                await self._change(webhook, after=after)
        return after

    async def _join_ready(self) -> None:
        """Let webhooks join that have caught up; nothing else is routed meanwhile."""
        for name, (webhook, task) in list(self._joining.items()):
            if not task.done():
                continue
            del self._joining[name]
            routes, after = WebhookRoutes([webhook], self._parts.formats), task.result()
            while after < self._at.position:
                after = await self._route_page(routes, after)
            joining = {"joined": True, "joined_by": self._lease.token}
            joined = await self._change(webhook, **joining, after=max(after, self._at.position))
            if joined is None:
                continue
            if joined.enabled:
                self._joined[name] = joined
            else:
                # Disabled meanwhile: its `after` counts again, before anything else is routed.
                await self._change(joined, joined=False)
            if not await self._write_checkpoint():
                raise LogMismatch("another router has moved the checkpoint")
        self._routes = WebhookRoutes(self._joined.values(), self._parts.formats)

    async def _route_page(self, routes: WebhookRoutes, after: int) -> int:
        """Route the next page of events up to the checkpoint; return the page's last position."""
        limit = min(BATCH_EVENTS, self._at.position - after)
        events = (await self._parts.log.read(after, limit)).events
        if not events:
            raise LogMismatch(f"the log does not reach position {self._at.position}")
        await self._add(routes.rows(events, self._parts.clock.now()))
        return events[-1].position

    async def _route(self, events: Sequence[Event]) -> bool:
        """Route one batch for all that have joined; False: another process moved the checkpoint."""
        if events[0].position != self._at.position + 1:
            raise LogMismatch(f"event {events[0].position} follows {self._at.position}")
        rows = self._routes.rows(events, self._parts.clock.now())
        self._at = Checkpoint(events[-1].position, events[-1].event_id, self._at.generation)
        if rows:
            await self._add(rows)
        elif not self._joined or self._at.position - self._written < IDLE_EVENTS:
            return True
        return await self._write_checkpoint()

    async def _add(self, rows: Sequence[Row]) -> None:
        for row in rows:
            if row.unrendered:
                logger.error("row %s is dead: %s", row.id, row.error)
        await self._parts.outbox.add(rows)

    async def _write_checkpoint(self) -> bool:
        """Write the checkpoint; False: another process moved it."""
        self._written = self._at.position
        return await self._parts.checkpoints.advance(ROUTING, self._lease, self._at)

    async def _change(self, webhook: Webhook, **changes: object) -> Webhook | None:
        return await self._parts.webhooks.change(webhook.tenant, webhook.id, changes)

    async def _set_back(self, at: Checkpoint) -> Checkpoint:
        """Go back to where the log parted from the old one, and remove the rows routed after that."""
        position, event_id = await self._last_common(at.position)
        logger.error("position %d was routed from another log: resuming after %d", at.position, position)
        await self._parts.outbox.cut(position)
        tail = await self._parts.log.tail()
        # Without a row in common, nothing tells which of the log's events were sent already.
        to = Checkpoint(position, event_id, at.generation + 1)
        if position == 0:
            to = Checkpoint(tail.position, tail.event_id, at.generation + 1)
        await self._parts.webhooks.rewind(to.position)
        if not await self._parts.checkpoints.set_back(ROUTING, self._lease, to):
            raise LogMismatch("another router has set back the checkpoint")
        return to

    async def _last_common(self, position: int) -> tuple[int, str]:
        """Return the newest row's position and event id that the log has too; (0, "") if there is none."""
        before, compared = position + 1, 0
        while compared < COMPARED_ROWS:
            rows = await self._parts.outbox.newest(before, COMPARED_PAGE)
            for row_position, event_id in dict.fromkeys(rows):
                stamp = await self._parts.log.stamp(row_position)
                if stamp is not None and stamp.event_id == event_id:
                    return row_position, event_id
            if len(rows) < COMPARED_PAGE:
                break
            before, compared = rows[-1][0], compared + len(rows)
        return 0, ""

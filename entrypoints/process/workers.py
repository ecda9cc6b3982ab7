"""Builds the worker tasks of a process on its storage and its feed."""

from collections.abc import Coroutine
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from adapters.webhook.formats.registry import FORMATS
from core.application.background import Background
from core.application.feed import Feed
from core.application.leases import ConditionalLeases
from core.application.projections.alarms import AlarmModel
from core.application.projections.kpis import KpiModel
from core.application.projections.projector import Projector
from core.application.timekeeping import Timekeeper
from core.application.webhooks.endpoint import RelayParts
from core.application.webhooks.relay import Relay
from core.application.webhooks.router import Router, RouterParts
from core.application.workers.balancing import Balancing
from core.application.workers.deadlines import Deadlines, ShelfSources
from core.application.workers.leader import Candidate
from core.application.workers.worker import Worker
from core.host import Host
from core.log.handler import CommandHandler
from core.outbox.ports import WebhookSender
from entrypoints.process.storage import Storage


@dataclass(frozen=True, slots=True)
class Workers:
    """Every worker, their balancing over the processes, and by name those that other parts use."""

    projector: Projector
    relay: Relay
    every: tuple[Worker, ...]
    balancing: Balancing

    def keep(self, background: Background) -> list[Coroutine[Any, Any, None]]:
        """Return the coroutines that keep the workers and their balancing running."""
        workers = [background.keep(f"the {worker.name}", "working", worker.run) for worker in self.every]
        return [*workers, background.keep("the balancing of workers", "working", self.balancing.run)]


def build_workers(  # noqa: PLR0913 (the parts that workers share)
    store: Storage,
    feed: Feed,
    handler: CommandHandler,
    sender: WebhookSender,
    *,
    host: Host,
    clock: Timekeeper,
    holder: str,
    pending_for: timedelta,
) -> Workers:
    """Build the workers; they start over when the feed meets another log."""
    log, follow, chance = store.log, feed.follow, host.chance
    candidate = Candidate(store.leases, holder, chance)
    # A process that must not append could end no shelf.
    punctual = replace(candidate, leases=ConditionalLeases(store.leases, clock.fault))
    alarms = AlarmModel(store.alarms, store.checkpoints, store.rebuild)
    kpis = KpiModel(store.kpis, store.checkpoints)
    routing = RouterParts(
        log, store.webhooks, store.outbox, store.checkpoints, follow, feed.bells.of, clock, FORMATS
    )
    relaying = RelayParts(store.webhooks, store.outbox, sender, feed.bells.of, clock, chance, pending_for)
    projector, relay = Projector(log, follow, alarms, candidate), Relay(relaying, candidate)
    every = (
        projector,
        Projector(log, follow, kpis, candidate),
        Deadlines(ShelfSources(log, follow, alarms), handler, clock, host.ids, punctual),
        Router(routing, candidate),
        relay,
    )
    for worker in every:
        feed.on_reset(worker.log_replaced)
    balancing = Balancing(store.presence, holder, [worker.task for worker in every], chance)
    return Workers(projector, relay, every, balancing)

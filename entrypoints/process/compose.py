"""The composition root: builds the parts of a process on its storage, and runs them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from adapters.inprocess.turns import StreamTurns
from adapters.peers.network import PeerNetwork
from adapters.streaming.driver import StreamDriver
from adapters.streaming.fetching import Sources
from adapters.webhook.formats.registry import FORMATS
from adapters.webhook.sender import HttpSender
from core.access.ports import TokenVerifier
from core.alarm.events import Event
from core.application.agreement import Agreement, Digests
from core.application.appending import Appending
from core.application.authentication import Authentication
from core.application.background import Background
from core.application.feed import Feed, run_while_readable
from core.application.lag import LagMeter
from core.application.leases import ConditionalLeases
from core.application.one_appender import OneAppender
from core.application.projections.alarms import PROJECTION as ALARMS
from core.application.projections.kpis import PROJECTION as KPIS
from core.application.projections.projected_position import ProjectedPosition
from core.application.projections.projector import Projector
from core.application.readiness import Readiness
from core.application.stream_census import StreamCensus
from core.application.timekeeping import Timekeeper
from core.application.webhooks.administration import WebhookAdministration
from core.application.webhooks.backlog import RecentBacklog
from core.application.webhooks.relay import Relay
from core.application.workers.leader import Candidate
from core.counters import AppendCounts
from core.delivery.limits import Limits
from core.log.handler import CommandHandler
from core.log.known_alarms import KnownAlarms
from core.outbox.ports import PENDING_DAYS, CheckingSender
from entrypoints.http.ingest_counts import IngestCounts
from entrypoints.http.middleware.traffic import Traffic
from entrypoints.http.routes.metrics import MetricSources
from entrypoints.http.services import Services
from entrypoints.process.coexistence import check_hears_others
from entrypoints.process.host import MACHINE, holder
from entrypoints.process.settings import ProcessRole
from entrypoints.process.storage import Storage
from entrypoints.process.tracing import traced
from entrypoints.process.workers import build_workers

if TYPE_CHECKING:
    from adapters.otel.traces import Traces


ANY_LOOPBACK = ("127.0.0.1", 0)


@dataclass(frozen=True, slots=True)
class Process:
    """The parts of a running process that its entrypoints use.

    `hand_over` lets another process append for all, if this one does: it is about to end.
    """

    services: Services
    feed: Feed
    projector: Projector
    stream: StreamDriver
    relay: Relay
    store: Storage
    appends: AppendCounts
    agreement: Agreement
    background: Background
    hand_over: Callable[[], None]

    def metric_sources(self, traffic: Traffic, ingested: IngestCounts) -> MetricSources:
        """Return what /metrics reads, with HTTP's counters."""
        return MetricSources(
            append=self.appends,
            agreement=self.agreement,
            feed=self.feed,
            stream=self.stream,
            relay=self.relay,
            handler=self.services.handler,
            traffic=traffic,
            ingested=ingested,
            lags=self.services.lags,
            outbox=RecentBacklog(self.store.outbox),
            webhooks=self.store.webhooks,
            now=self.services.clock.now,
        )


@asynccontextmanager
async def running(  # noqa: PLR0913 (the process's configuration)
    store: Storage,
    *,
    tokens: TokenVerifier | None = None,
    limits: Limits | None = None,
    webhook_allow: Sequence[str] = (),
    outbox_days: float = PENDING_DAYS,
    digests: Digests = dict,
    role: ProcessRole = "all",
    traces: "Traces | None" = None,
    peers: tuple[str, int] = ANY_LOOPBACK,
    background: Background | None = None,
) -> AsyncIterator[Process]:
    """Run the feed, the appender and the workers while the context lasts.

    `tokens` verifies callers' tokens; None: there is no authentication. `webhook_allow`: the networks and
    hosts beyond the public Internet that webhooks may call. `outbox_days`: how long a row may be pending.
    `digests`: those of the settings that all processes must share.
    `role`: `api` leaves the worker tasks to other processes. `traces` records spans of appends and
    deliveries. `peers`: where this process listens for the others, should it append for all.
    `background` keeps the process's tasks; None: one of its own.

    Raises:
        StartupRefused: `webhook_allow` is malformed.
        Unavailable: MongoDB cannot be reached.
    """
    clock = await _clock(store)
    authentication = Authentication(tokens, store.api_keys, store.revocations, replace(MACHINE, clock=clock))
    async with (
        aclosing(HttpSender(FORMATS, webhook_allow)) as sender,
        _running(
            store,
            clock,
            authentication,
            limits,
            sender=sender,
            traces=traces,
            pending_for=timedelta(days=outbox_days),
            digests=digests,
            peers=peers,
            works=role != "api",
            background=background or Background(MACHINE.chance),
        ) as process,
    ):
        yield process


@asynccontextmanager
async def _running(  # noqa: PLR0913 (as above)
    store: Storage,
    clock: Timekeeper,
    authentication: Authentication,
    limits: Limits | None,
    *,
    sender: CheckingSender,
    traces: "Traces | None",
    pending_for: timedelta,
    digests: Digests,
    peers: tuple[str, int],
    works: bool,
    background: Background,
) -> AsyncIterator[Process]:
    await authentication.start()
    name = holder()
    feed = Feed(store.log, store.doorbell, MACHINE.chance)
    await feed.start()
    known = KnownAlarms()
    appending = Appending(store.events, MACHINE.chance, clock.check)
    feed.on_events(appending.learn, appending.forget)
    feed.on_events(known.learn, known.forget)
    census = StreamCensus(store.log, known.streams, MACHINE.chance)
    feed.on_reset(census.repeat)
    appender = appending if traces is None else traces.appender(appending)
    handler = CommandHandler(appender, store.log, StreamTurns(), known, store.answers)
    sources = Sources(store.log, store.alarms, store.checkpoints, store.rebuild)
    stream = StreamDriver(
        sources, feed.identity, feed.position, authenticate=authentication.caller, limits=limits
    )
    feed.on_events(traced(stream.publish, traces), lambda: stream.reset(feed.identity, feed.position))
    workers = build_workers(
        store, feed, handler, sender, host=MACHINE, clock=clock, holder=name, pending_for=pending_for
    )
    agreement = Agreement(store.settings_board, name, digests, MACHINE.chance)
    meter = LagMeter(store.log, feed, store.checkpoints, (ALARMS, KPIS), clock)
    readiness = Readiness(feed, workers.projector, stream, meter, background, clock_fault=clock.fault)
    readiness.warn_by(agreement.warnings)
    services = Services(
        handler=handler,
        log=store.log,
        alarms=store.alarms,
        history=store.history,
        checkpoints=store.checkpoints,
        clock=clock,
        ids=MACHINE.ids,
        projected=ProjectedPosition(ALARMS, store.checkpoints, feed.bells.of).reaches,
        readiness=readiness.report,
        authentication=authentication,
        sessions=stream.sessions_of,
        outgoing=_outgoing(store, clock, sender),
        kpis=store.kpis,
        lags=meter.lags,
    )

    def committed(position: int, events: Sequence[Event]) -> None:
        feed.hear(position, events)
        store.ring(position)

    def revocations() -> Coroutine[Any, Any, None]:
        return authentication.run(lambda: feed.bells.of("revocations"), stream.revoke)

    key = await store.peer_key.read()
    host, port = peers
    async with (
        appending.running(committed, background),
        PeerNetwork.joined(key, name, appending.submit, host=host, port=port) as network,
        asyncio.TaskGroup() as tasks,
    ):
        # A process whose clock is wrong must not be the one on which all depend.
        candidate = Candidate(ConditionalLeases(store.leases, clock.fault), name, MACHINE.chance)
        one = OneAppender(candidate, store.leases, network, appending)
        readiness.warn_by(one.warnings)
        parts = [
            background.keep("the feed", "serving", lambda: run_while_readable(feed, stream)),
            background.keep("the clock", "serving", clock.run),
            background.keep("the delivery to sessions", "serving", stream.run),
            background.keep("the count of alarms", "working", census.run),
            background.keep("the lease of the appender", "working", one.hold),
            background.keep("the connection to the appender", "working", one.follow),
            background.keep("the reader of revocations", "serving", revocations),
            background.keep("the comparison of settings", "working", agreement.run),
            *(workers.keep(background) if works else ()),
        ]
        under_way = [tasks.create_task(part) for part in parts]
        yield Process(
            services,
            feed,
            workers.projector,
            stream,
            workers.relay,
            store,
            appending.counts,
            agreement,
            background,
            one.leave,
        )
        for task in under_way:
            task.cancel()


@asynccontextmanager
async def feeding(store: Storage) -> AsyncIterator[Feed]:
    """Run the feed alone while the context lasts. Raises StartupRefused, Unavailable."""
    check_hears_others(store.kind, "follow events through it: tocsin tail --url ws://HOST:PORT/v1/stream")
    feed = Feed(store.log, store.doorbell, MACHINE.chance)
    await feed.start()
    async with asyncio.TaskGroup() as tasks:
        running_feed = tasks.create_task(feed.run())
        yield feed
        running_feed.cancel()


@asynccontextmanager
async def retrying(store: Storage) -> AsyncIterator[WebhookAdministration]:
    """Yield the service for the outbox alone. Raises StartupRefused: no relay would hear of a retry."""
    check_hears_others(store.kind, "retry through it: POST /v1/outbox/retry")
    async with aclosing(HttpSender(FORMATS)) as sender:
        yield _outgoing(store, await _clock(store), sender)


async def _clock(store: Storage) -> Timekeeper:
    """Return MongoDB's clock, read once. Raises Unavailable."""
    clock = Timekeeper(store.clock, MACHINE.clock)
    await clock.start()
    return clock


def _outgoing(store: Storage, clock: Timekeeper, sender: CheckingSender) -> WebhookAdministration:
    """Return the service for webhooks and the outbox."""
    return WebhookAdministration(store.webhooks, store.outbox, sender, store.log, clock, MACHINE.ids, FORMATS)

"""The composition root: builds the parts of a process on its storage, and runs them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from adapters.inprocess.turns import StreamTurns
from adapters.mongo.alarms.history import MongoAlarmHistory
from adapters.mongo.log.log import MongoLog
from adapters.streaming.driver import StreamDriver
from adapters.streaming.fetching import Sources
from adapters.tokens.keys import KeySetTokens
from adapters.tokens.secret import SecretTokens
from adapters.webhook.formats.table import FORMATS
from adapters.webhook.sender import HttpSender
from core.access.ports import TokenVerifier
from core.alarm.events import SCHEMA_VERSION, Event
from core.application.authentication import Authentication, Issuing
from core.application.feed import Feed
from core.application.lag import FEED, Lag, lags
from core.application.projections.kpis import PROJECTION as KPIS
from core.application.projections.kpis import KpiModel
from core.application.projections.projector import PROJECTION, AlarmModel, Projector
from core.application.webhooks.endpoint import RelayParts, WallTime
from core.application.webhooks.relay import Relay
from core.application.webhooks.router import Router, RouterParts
from core.application.webhooks.service import Outgoing
from core.application.workers.balancing import Balancing
from core.application.workers.deadlines import Deadlines, Minting, ShelfSources
from core.coordination.ports import CheckpointReader
from core.delivery.limits import Limits
from core.errors import StartupRefused
from core.log.handler import CommandHandler
from core.log.known_alarms import KnownAlarms
from core.outbox.ports import CheckingSender
from entrypoints.http.middleware.tracing import traced
from entrypoints.http.middleware.traffic import Traffic
from entrypoints.http.routes.alertmanager import IngestCounts
from entrypoints.http.routes.metrics import Parts
from entrypoints.process.host import holder, new_event_id, now
from entrypoints.process.services import Services
from entrypoints.process.settings import Role
from entrypoints.process.storage import Storage

if TYPE_CHECKING:
    from adapters.otel.traces import Traces


@dataclass(frozen=True, slots=True)
class Process:
    """The parts of a running process that its entrypoints use."""

    services: Services
    feed: Feed
    projector: Projector
    stream: StreamDriver
    relay: Relay
    store: Storage

    def metered(self, traffic: Traffic, ingested: IngestCounts) -> Parts:
        """Return what /metrics reads, together with what HTTP counts."""
        return Parts(
            append=self.store.log.counts,
            feed=self.feed,
            stream=self.stream,
            relay=self.relay,
            handler=self.services.handler,
            traffic=traffic,
            ingested=ingested,
            lags=self.services.lags,
            outbox=self.store.outbox,
            now=now,
        )


@asynccontextmanager
async def running(  # noqa: PLR0913 (what the process was set up with)
    store: Storage,
    *,
    tokens: TokenVerifier | None = None,
    limits: Limits | None = None,
    webhook_allow: Sequence[str] = (),
    role: Role = "all",
    traces: "Traces | None" = None,
) -> AsyncIterator[Process]:
    """Run the feed, the appender and the workers for as long as the context lasts.

    `tokens`: whose word counts for who a caller is; None: there is no authentication. `role`: with `api` the
    worker tasks are left to other processes. `traces`: what makes spans of appends and deliveries.

    Raises:
        StartupRefused: `webhook_allow`, what webhooks may call beyond the public Internet, is malformed.
        Unavailable: MongoDB cannot be reached.
    """
    authentication = Authentication(tokens, store.api_keys, store.revocations, Issuing(now, new_event_id))
    async with (
        aclosing(HttpSender(webhook_allow)) as sender,
        _running(store, authentication, limits, sender, traces, works=role != "api") as process,
    ):
        yield process


@asynccontextmanager
async def _running(  # noqa: PLR0913 (as above)
    store: Storage,
    authentication: Authentication,
    limits: Limits | None,
    sender: CheckingSender,
    traces: "Traces | None",
    *,
    works: bool,
) -> AsyncIterator[Process]:
    await authentication.start()
    feed = Feed(store.log, store.doorbell)
    await feed.start()
    recollection = KnownAlarms()
    _remember(feed, store.log, recollection)
    model = AlarmModel(store.alarms, store.checkpoints, store.rebuild)
    projector = Projector(store.log, feed.follow, model, store.leases, holder())
    kpis = KpiModel(store.kpis, store.checkpoints)
    kpi_projector = Projector(store.log, feed.follow, kpis, store.leases, holder())
    appender = store.log if traces is None else traces.appender(store.log)
    handler = CommandHandler(appender, store.log, StreamTurns(), recollection, store.answers)
    shelves, minting = ShelfSources(store.log, feed.follow, model), Minting(now, new_event_id)
    deadlines = Deadlines(shelves, handler, minting, store.leases, holder())
    sources = Sources(store.log, store.alarms, store.checkpoints, store.rebuild)
    stream = StreamDriver(
        sources, feed.identity, feed.position, authenticate=authentication.caller, limits=limits
    )
    feed.listen(traced(stream.publish, traces), lambda: stream.reset(feed.identity, feed.position))
    router = Router(
        RouterParts(
            store.log, store.webhooks, store.outbox, store.checkpoints, feed.follow, feed.bell, now, FORMATS
        ),
        store.leases,
        holder(),
    )
    relaying = RelayParts(store.webhooks, store.outbox, sender, feed.bell, WallTime())
    relay = Relay(relaying, store.leases, holder())
    workers = (projector, kpi_projector, deadlines, router, relay)
    for worker in workers:
        feed.on_reset(worker.log_replaced)
    spreading = Balancing(store.presence, holder(), [worker.task for worker in workers])
    services = Services(
        handler=handler,
        log=store.log,
        alarms=store.alarms,
        history=MongoAlarmHistory(store.link.connection),
        checkpoints=store.checkpoints,
        now=now,
        new_event_id=new_event_id,
        projected=lambda position, seconds: _projected(store.checkpoints, feed, position, seconds),
        not_ready=lambda: _not_ready(feed, projector, stream),
        authentication=authentication,
        sessions=stream.sessions_of,
        outgoing=outgoing(store, sender),
        kpis=kpis,
        lags=lambda: _lags(store, feed),
    )
    revoking = authentication.run(lambda: feed.bell("revocations"), stream.revoke)
    async with (
        store.log.running(lambda position, events: _committed(feed, store, position, events)),
        asyncio.TaskGroup() as tasks,
    ):
        parts = [_followed(feed, stream), stream.run(), store.log.give_way(feed.bell), revoking]
        if works:
            parts += [*(worker.run() for worker in workers), spreading.run()]
        under_way = [tasks.create_task(part) for part in parts]
        yield Process(services, feed, projector, stream, relay, store)
        for task in under_way:
            task.cancel()


def trusted_tokens(secret: str | None, jwks: Path | None) -> TokenVerifier | None:
    """Return what verifies tokens; None: nothing is configured. Raises StartupRefused: it is unusable."""
    if secret is not None:
        return SecretTokens(secret)
    return None if jwks is None else KeySetTokens(jwks)


@asynccontextmanager
async def feeding(store: Storage) -> AsyncIterator[Feed]:
    """Run the feed alone, for as long as the context lasts. Raises StartupRefused, Unavailable."""
    if store.link.kind == "local":
        raise StartupRefused(
            "on a standalone mongod without Redis only the server's own process hears of new events:"
            " follow them through the server: tocsin tail --url ws://HOST:PORT/v1/stream"
        )
    feed = Feed(store.log, store.doorbell)
    await feed.start()
    async with asyncio.TaskGroup() as tasks:
        running_feed = tasks.create_task(feed.run())
        yield feed
        running_feed.cancel()


def outgoing(store: Storage, sender: CheckingSender) -> Outgoing:
    """Return what can be asked about webhooks and the outbox."""
    return Outgoing(store.webhooks, store.outbox, sender, store.log, now, new_event_id, FORMATS)


def _committed(feed: Feed, store: Storage, position: int, events: Sequence[Event]) -> None:
    feed.hear(position, events)
    store.link.ring(position)


def _remember(feed: Feed, log: MongoLog, recollection: KnownAlarms) -> None:
    def seen(events: Sequence[Event]) -> None:
        log.learn(events)
        for event in events:
            # Another version's snapshot is not to be decided on: the handler reads and folds.
            if event.v == SCHEMA_VERSION:
                recollection.see(event.alarm)

    def replaced() -> None:
        log.forget()
        recollection.forget()

    feed.listen(seen, replaced)


async def _projected(checkpoints: CheckpointReader, feed: Feed, position: int, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            while True:
                # Listen before reading: a move in between would be missed.
                moved = feed.bell("checkpoints")
                if (await checkpoints.load(PROJECTION)).position >= position:
                    return True
                await moved.wait()
    except TimeoutError:
        return False


async def _followed(feed: Feed, stream: StreamDriver) -> None:
    await feed.run()
    # It has met an event that it cannot read: a newer process can, and its clients go there.
    await stream.drain()


async def _lags(store: Storage, feed: Feed) -> Sequence[Lag]:
    places = {name: (await store.checkpoints.load(name)).position for name in (PROJECTION, KPIS)}
    return await lags(store.log, {FEED: feed.position, **places}, now())


def _not_ready(feed: Feed, projector: Projector, stream: StreamDriver) -> list[str]:
    reasons = ["it is draining: send no more clients here"] if stream.draining else []
    if feed.stopped is not None:
        reasons.append(f"the feed: stopped: {feed.stopped}")
    elif not feed.live:
        reasons.append("the feed is not connected to MongoDB")
    if projector.status not in ("leading", "standby"):
        reasons.append(f"the projector: {projector.status}")
    return reasons

"""The composition root: the only place that builds adapters and wires them together."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import uuid_utils

from adapters.memory.doorbell import LocalDoorbell
from adapters.memory.turns import StreamTurns
from adapters.mongo.alarms import MongoAlarmList
from adapters.mongo.answers import MongoAnswers
from adapters.mongo.api_keys import MongoApiKeys
from adapters.mongo.checkpoints import MongoCheckpoints
from adapters.mongo.checks import DoorbellKind, check
from adapters.mongo.client import Database, connect
from adapters.mongo.doorbell import TOPICS, ChangeStreamDoorbell
from adapters.mongo.history import MongoAlarmHistory
from adapters.mongo.journal import JournaledStore
from adapters.mongo.leases import MongoLeases
from adapters.mongo.log import MongoLog
from adapters.mongo.outbox import MongoOutbox
from adapters.mongo.rebuild import MongoAlarmRebuild
from adapters.mongo.revocations import MongoRevocations
from adapters.mongo.watch import TopicWatch
from adapters.mongo.webhooks import MongoWebhooks
from adapters.tokens.keys import KeySetTokens
from adapters.tokens.secret import SecretTokens
from adapters.webhook.caller import HttpCaller
from adapters.websocket.driver import StreamDriver
from adapters.websocket.fetching import Sources
from core.delivery.limits import Limits
from core.errors import StartupRefused
from core.events import SCHEMA_VERSION, Event
from core.handler import CommandHandler
from core.ports import Doorbell, Stamp, Tokens
from core.recollection import Recollection
from entrypoints.authentication import Authentication, Issuing
from entrypoints.deadlines import Deadlines, Minting, ShelfSources
from entrypoints.endpoint import RelayParts, WallTime
from entrypoints.feed import Feed
from entrypoints.outgoing import CheckingCaller, Outgoing
from entrypoints.relay import Relay
from entrypoints.router import Router, RouterParts
from entrypoints.services import Services
from entrypoints.settings import FeedChoice
from entrypoints.sole import only_process
from entrypoints.worker import PROJECTION, AlarmModel, Projector

if TYPE_CHECKING:
    from adapters.redis.doorbell import RedisDoorbell


@dataclass(frozen=True, slots=True)
class Process:
    """The parts of a running process that its entrypoints use."""

    services: Services
    feed: Feed
    projector: Projector
    stream: StreamDriver
    relay: Relay


@dataclass(frozen=True, slots=True)
class Storage:
    """The adapters on one database."""

    log: MongoLog
    rebuild: MongoAlarmRebuild
    doorbell: Doorbell
    alarms: MongoAlarmList
    checkpoints: MongoCheckpoints
    leases: MongoLeases
    answers: MongoAnswers
    api_keys: MongoApiKeys
    revocations: MongoRevocations
    webhooks: MongoWebhooks
    outbox: MongoOutbox
    link: "Link"


@dataclass(frozen=True, slots=True)
class Link:
    """A connection, the log on it, and the doorbell that goes with both.

    `ring` tells the doorbell how far this process has committed, where nothing else does.
    """

    kind: DoorbellKind
    connection: Database
    log: MongoLog
    doorbell: Doorbell
    ring: Callable[[int], None]


@asynccontextmanager
async def storage(
    uri: str, database: str, feed: FeedChoice = "auto", redis_url: str | None = None
) -> AsyncIterator[Storage]:
    """Check the database, connect to it and make what is missing in it.

    Raises:
        StartupRefused: this process must not run on it.
        Unavailable: it cannot be reached any more.
    """
    link = _link(await check(uri, database, feed), uri, database, redis_url)
    connection = link.connection
    try:
        built = Storage(
            link.log,
            MongoAlarmRebuild(connection),
            link.doorbell,
            MongoAlarmList(connection),
            MongoCheckpoints(connection),
            MongoLeases(connection),
            MongoAnswers(connection),
            MongoApiKeys(connection),
            MongoRevocations(connection),
            MongoWebhooks(connection),
            MongoOutbox(connection),
            link,
        )
        await built.log.create()
        await built.alarms.create()
        await built.answers.create()
        await built.api_keys.create()
        await built.revocations.create()
        await built.webhooks.create()
        await built.outbox.create()
        yield built
    finally:
        connection.client.close()


def alone(store: Storage) -> AbstractAsyncContextManager[None]:
    """Hold off every process that could not hear of this one. Raises StartupRefused, Unavailable."""
    match store.link.kind:
        case "changestream":
            return nullcontext()
        case "local":
            return only_process(store.leases, holder())
        case "redis":
            return only_process(store.leases, "redis", shared=True)


@asynccontextmanager
async def running(
    store: Storage,
    *,
    tokens: Tokens | None = None,
    limits: Limits | None = None,
    webhook_allow: Sequence[str] = (),
) -> AsyncIterator[Process]:
    """Run the feed, the appender and the workers for as long as the context lasts.

    `tokens`: whose word counts for who a caller is; None: there is no authentication.

    Raises:
        StartupRefused: `webhook_allow`, what webhooks may call beyond the public Internet, is malformed.
        Unavailable: MongoDB cannot be reached.
    """
    authentication = Authentication(tokens, store.api_keys, store.revocations, Issuing(now, new_event_id))
    async with (
        aclosing(HttpCaller(webhook_allow)) as caller,
        _running(store, authentication, limits, caller) as process,
    ):
        yield process


@asynccontextmanager
async def _running(
    store: Storage, authentication: Authentication, limits: Limits | None, caller: CheckingCaller
) -> AsyncIterator[Process]:
    await authentication.start()
    feed = Feed(store.log, store.doorbell)
    await feed.start()
    recollection = Recollection()
    _remember(feed, store.log, recollection)
    model = AlarmModel(store.alarms, store.checkpoints, store.rebuild)
    projector = Projector(store.log, feed.follow, model, store.leases, holder())
    feed.listen(lambda _: None, projector.log_replaced)
    handler = CommandHandler(store.log, StreamTurns(), recollection, store.answers)
    shelves, minting = ShelfSources(store.log, feed.follow, model), Minting(now, new_event_id)
    deadlines = Deadlines(shelves, handler, minting, store.leases, holder())
    feed.listen(lambda _: None, deadlines.log_replaced)
    sources = Sources(store.log, store.alarms, store.checkpoints, store.rebuild)
    stream = StreamDriver(
        sources, feed.identity, feed.position, authenticate=authentication.caller, limits=limits
    )
    feed.listen(stream.publish, lambda: stream.reset(feed.identity, feed.position))
    router = Router(
        RouterParts(store.log, store.webhooks, store.outbox, store.checkpoints, feed.follow, feed.bell, now),
        store.leases,
        holder(),
    )
    feed.listen(lambda _: None, router.log_replaced)
    relaying = RelayParts(store.webhooks, store.outbox, caller, feed.bell, WallTime())
    relay = Relay(relaying, store.leases, holder())
    feed.listen(lambda _: None, relay.log_replaced)
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
        outgoing=outgoing(store, caller),
    )
    revoking = authentication.run(lambda: feed.bell("revocations"), stream.revoke)
    async with (
        store.log.running(lambda position: _committed(feed, store, position)),
        asyncio.TaskGroup() as tasks,
    ):
        parts = (feed.run(), projector.run(), deadlines.run(), stream.run(), store.log.give_way(feed.bell))
        work = (*parts, revoking, router.run(), relay.run())
        workers = [tasks.create_task(each) for each in work]
        yield Process(services, feed, projector, stream, relay)
        for worker in workers:
            worker.cancel()


def trusted_tokens(secret: str | None, jwks: Path | None) -> Tokens | None:
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


def outgoing(store: Storage, caller: CheckingCaller) -> Outgoing:
    """Return what can be asked about webhooks and the outbox."""
    return Outgoing(store.webhooks, store.outbox, caller, store.log, now, new_event_id)


def _link(kind: DoorbellKind, uri: str, database: str, redis_url: str | None) -> Link:
    if kind == "changestream":
        connection = connect(uri, database)
        return Link(kind, connection, MongoLog(connection), ChangeStreamDoorbell(connection), lambda _: None)
    # The watch calls from the event loop, and so not before `bell` is there.
    watch = TopicWatch(TOPICS, lambda topic: bell.ring(topics=(topic,)))
    connection = connect(uri, database, [watch])
    store = JournaledStore(connection)
    log, local = MongoLog(connection, store), LocalDoorbell()
    bell = local if kind == "local" else _redis(redis_url, database, local, log, store)
    return Link(kind, connection, log, bell, bell.ring)


def _redis(
    url: str | None, database: str, local: LocalDoorbell, log: MongoLog, store: JournaledStore
) -> "RedisDoorbell":
    if not url:
        raise StartupRefused("the feed redis needs a server: name it in TOCSIN_REDIS_URL or --redis-url")
    try:
        from adapters.redis.doorbell import RedisDoorbell  # noqa: PLC0415 (an optional dependency)
    except ModuleNotFoundError as error:
        raise StartupRefused("the feed redis needs its client: pip install 'tocsin[redis]'") from error
    return RedisDoorbell(url, f"tocsin:{database}", local, log, journaled=store.journaled, topics=TOPICS)


def _committed(feed: Feed, store: Storage, position: int) -> None:
    feed.hear(position)
    store.link.ring(position)


def now() -> datetime:
    """The service's clock, UTC."""
    return datetime.now(UTC)


def new_event_id() -> str:
    """Mint an event id: UUIDv7 (RFC 9562)."""
    return str(uuid_utils.uuid7())


def holder() -> str:
    """Name this process as the holder of leases."""
    return f"{socket.gethostname()}:{os.getpid()}"


def _remember(feed: Feed, log: MongoLog, recollection: Recollection) -> None:
    def seen(events: Sequence[Event]) -> None:
        newest = events[-1]
        log.learn(Stamp(newest.position, newest.event_id, newest.at))
        for event in events:
            # Another version's snapshot is not to be decided on: the handler reads and folds.
            if event.v == SCHEMA_VERSION:
                recollection.see(event.alarm)

    def replaced() -> None:
        log.forget()
        recollection.forget()

    feed.listen(seen, replaced)


async def _projected(checkpoints: MongoCheckpoints, feed: Feed, position: int, seconds: float) -> bool:
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


def _not_ready(feed: Feed, projector: Projector, stream: StreamDriver) -> list[str]:
    reasons = ["it is draining: send no more clients here"] if stream.draining else []
    if not feed.live:
        reasons.append("the feed is not connected to MongoDB")
    if projector.status not in ("leading", "standby"):
        reasons.append(f"the projector: {projector.status}")
    return reasons

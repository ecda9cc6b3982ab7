"""Builds the adapters on one database, and the doorbell that fits it."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from adapters.inprocess.doorbell import LocalDoorbell
from adapters.mongo.access.api_keys import MongoApiKeys
from adapters.mongo.access.revocations import MongoRevocations
from adapters.mongo.alarms.alarm_list import MongoAlarmList
from adapters.mongo.alarms.history import MongoAlarmHistory
from adapters.mongo.alarms.rebuild import MongoAlarmRebuild
from adapters.mongo.checks import DoorbellKind, check, check_log
from adapters.mongo.client import Database, connect
from adapters.mongo.coordination.checkpoints import MongoCheckpoints
from adapters.mongo.coordination.clock import MongoClock
from adapters.mongo.coordination.leases import MongoLeases
from adapters.mongo.coordination.peer_key import MongoPeerKey
from adapters.mongo.coordination.presence import MongoPresence
from adapters.mongo.coordination.settings_board import MongoSettingsBoard
from adapters.mongo.kpis import MongoKpiBuckets
from adapters.mongo.log.answers import MongoAnswers
from adapters.mongo.log.doorbell import TOPICS, ChangeStreamDoorbell
from adapters.mongo.log.journal import JournaledStore
from adapters.mongo.log.log import MongoLog
from adapters.mongo.log.store import EventStore
from adapters.mongo.log.write_monitor import WriteMonitor
from adapters.mongo.outbox.outbox import MongoOutbox
from adapters.mongo.outbox.webhooks import MongoWebhooks
from adapters.mongo.wire.held_connections import HeldConnections
from core.errors import StartupRefused
from core.log.ports import Doorbell
from entrypoints.process.settings import Settings

if TYPE_CHECKING:
    from adapters.redis.doorbell import RedisDoorbell


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """The adapters on one database, and the doorbell that fits it.

    `ring` tells the doorbell the position that this process has committed, where nothing else does.
    """

    kind: DoorbellKind
    connection: Database
    log: MongoLog
    doorbell: Doorbell
    ring: Callable[[int], None]
    alarms: MongoAlarmList
    rebuild: MongoAlarmRebuild
    history: MongoAlarmHistory
    checkpoints: MongoCheckpoints
    leases: MongoLeases
    answers: MongoAnswers
    api_keys: MongoApiKeys
    revocations: MongoRevocations
    webhooks: MongoWebhooks
    outbox: MongoOutbox
    kpis: MongoKpiBuckets
    presence: MongoPresence
    settings_board: MongoSettingsBoard
    events: EventStore
    peer_key: MongoPeerKey
    clock: MongoClock


@dataclass(frozen=True, slots=True)
class _Link:
    """A connection, the log on it, and the doorbell that goes with both (see Storage)."""

    connection: Database
    commands: HeldConnections
    events: EventStore
    log: MongoLog
    doorbell: Doorbell
    ring: Callable[[int], None]


@asynccontextmanager
async def storage(settings: Settings) -> AsyncIterator[Storage]:
    """Check the database that the settings name, connect to it and create what it lacks.

    Raises:
        StartupRefused: this process must not run on the database.
        Unavailable: the database was lost after the check.
    """
    uri, database = settings.mongodb_uri, settings.database
    kind = await check(uri, database, settings.feed)
    link = _link(kind, uri, database, settings.redis_url)
    try:
        built = _built(kind, link)
        await built.log.create()
        await built.alarms.create()
        await built.answers.create()
        await built.api_keys.create()
        await built.revocations.create()
        await built.webhooks.create()
        await built.outbox.create()
        await built.kpis.create()
        await built.presence.create()
        await built.settings_board.create()
        yield built
    finally:
        await link.commands.close()
        link.connection.client.close()


def _built(kind: DoorbellKind, link: _Link) -> Storage:
    connection = link.connection
    return Storage(
        kind=kind,
        connection=connection,
        log=link.log,
        doorbell=link.doorbell,
        ring=link.ring,
        alarms=MongoAlarmList(connection, commands=link.commands),
        rebuild=MongoAlarmRebuild(connection),
        history=MongoAlarmHistory(connection),
        checkpoints=MongoCheckpoints(connection, link.commands),
        leases=MongoLeases(connection),
        answers=MongoAnswers(connection),
        api_keys=MongoApiKeys(connection),
        revocations=MongoRevocations(connection),
        webhooks=MongoWebhooks(connection),
        outbox=MongoOutbox(connection),
        kpis=MongoKpiBuckets(connection, link.commands),
        presence=MongoPresence(connection),
        settings_board=MongoSettingsBoard(connection),
        events=link.events,
        peer_key=MongoPeerKey(connection),
        clock=MongoClock(connection),
    )


@asynccontextmanager
async def existing(settings: Settings) -> AsyncIterator[Storage]:
    """Connect to a database that has a log, to read it: nothing is created and nothing written.

    On a standalone it shows events that are not yet in the journal, and that a kill of mongod may undo: to
    exclude that, it would have to write.

    Raises:
        StartupRefused: the database has no log, or cannot be used.
        Unavailable: MongoDB cannot be reached.
    """
    uri, database = settings.mongodb_uri, settings.database
    kind = await check_log(uri, database, settings.feed)
    link = _reading_link(kind, connect(uri, database), database, settings.redis_url)
    try:
        yield _built(kind, link)
    finally:
        await link.commands.close()
        link.connection.client.close()


def _reading_link(kind: DoorbellKind, connection: Database, database: str, redis_url: str | None) -> _Link:
    commands = HeldConnections(connection)
    events = EventStore(connection, commands)
    log = MongoLog(connection, events)
    doorbell: Doorbell = LocalDoorbell()
    if kind == "changestream":
        doorbell = ChangeStreamDoorbell(connection, commands)
    if kind == "redis":
        doorbell = _redis(redis_url, database, LocalDoorbell(), log, lambda _: None)
    return _Link(connection, commands, events, log, doorbell, lambda _: None)


def _link(kind: DoorbellKind, uri: str, database: str, redis_url: str | None) -> _Link:
    if kind == "changestream":
        connection = connect(uri, database)
        commands = HeldConnections(connection)
        events = EventStore(connection, commands)
        log, doorbell = MongoLog(connection, events), ChangeStreamDoorbell(connection, commands)
        return _Link(connection, commands, events, log, doorbell, lambda _: None)
    # The event loop runs the callback, so only after `bell` is assigned.
    watch = WriteMonitor(TOPICS, lambda topic: bell.ring(topics=(topic,)))
    connection = connect(uri, database, [watch])
    commands = HeldConnections(connection)
    store = JournaledStore(connection, commands)
    log, local = MongoLog(connection, store), LocalDoorbell()
    bell = local if kind == "local" else _redis(redis_url, database, local, log, store.journaled)
    return _Link(connection, commands, store, log, bell, bell.ring)


def _redis(
    url: str | None,
    database: str,
    local: LocalDoorbell,
    log: MongoLog,
    journaled: Callable[[int], None],
) -> "RedisDoorbell":
    if not url:
        raise StartupRefused("the feed redis needs a server: name it in TOCSIN_REDIS_URL or --redis-url")
    try:
        from adapters.redis.doorbell import RedisDoorbell  # noqa: PLC0415 (an optional dependency)
    except ModuleNotFoundError as error:
        raise StartupRefused("the feed redis needs its client: pip install 'tocsin[redis]'") from error
    channel, topics = f"tocsin:{database}", set(TOPICS) - {"meta"}
    return RedisDoorbell(url, channel, local, log, journaled=journaled, topics=topics)

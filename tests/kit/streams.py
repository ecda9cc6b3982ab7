"""A real server that streams from a log in memory, and real WebSocket clients for it."""

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import WebSocketRoute
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

from adapters.memory.alarms import MemoryAlarmList
from adapters.memory.api_keys import MemoryApiKeys
from adapters.memory.checkpoints import KeptCheckpoint, MemoryCheckpoints
from adapters.memory.log import Events, MemoryLog
from adapters.memory.rebuild import MemoryAlarmRebuild
from adapters.memory.revocations import MemoryRevocations
from adapters.streaming.driver import StreamDriver
from adapters.streaming.fetching import Sources
from adapters.uvicorn.http import HttpProtocol
from adapters.uvicorn.websocket import StreamProtocol
from core.alarm.events import Event
from core.application.authentication import Authentication
from core.coordination.ports import Checkpoint
from entrypoints.http import problems
from entrypoints.http.api import PERMISSIONS
from entrypoints.http.middleware.authorization import Authorization
from entrypoints.http.operations import routed
from entrypoints.http.routes import events as events_over_http
from entrypoints.http.routes.stream import stream_endpoint
from entrypoints.http.state import AppState, share
from tests.kit.delivery import Plant
from tests.kit.hosts import HOST
from tests.kit.http import HttpStage
from tests.kit.schemas import check_message

WAIT = 10.0


@dataclass
class Streams:
    """A running server, the log behind it, and its address."""

    driver: StreamDriver
    plant: Plant
    log: MemoryLog
    events: Events
    alarms: MemoryAlarmList
    checkpoints: MemoryCheckpoints
    url: str

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        parts = urlsplit(self.url)
        return parts.hostname or "", parts.port or 0

    def publish(self, *events: Event) -> None:
        """Record events, project them and tell the driver."""
        self.record(*events)
        self.driver.publish(events)

    def record(self, *events: Event) -> None:
        """Record and project events that another process appended; this one has not read them yet."""
        for event in events:
            self.events.add(event)
            self.alarms.rows[event.alarm.id] = event.alarm
            checkpoint = Checkpoint(event.position, event.event_id, 1)
            self.checkpoints.kept["alarms"] = KeptCheckpoint(checkpoint)

    def raise_many(self, count: int, text: str = "") -> Sequence[Event]:
        """Publish so many events of one alarm each from `plant/0`, `plant/1`, ..."""
        events = [self.plant.reported(f"plant/{number % 100}", text=text) for number in range(count)]
        self.publish(*events)
        return events

    @property
    def events_url(self) -> str:
        """Where its log is over HTTP."""
        return self.url.replace("ws:", "http:").replace("/v1/stream", "/v1/events")

    @asynccontextmanager
    async def client(
        self, *, subprotocol: str | None = "tocsin.v1.json", origin: str | None = None, **options: Any
    ) -> AsyncIterator["StreamClient"]:
        """Connect a real client."""
        subprotocols = None if subprotocol is None else [Subprotocol(subprotocol)]
        async with connect(
            self.url,
            subprotocols=subprotocols,
            origin=None if origin is None else Origin(origin),
            compression=None,
            max_size=None,
            **options,
        ) as connection:
            yield StreamClient(connection)


class StreamClient:
    """A WebSocket client that speaks the protocol."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.heard = 0
        """How many messages the server has sent."""
        self._packed = connection.subprotocol == "tocsin.v1.msgpack"

    async def say(self, **message: Any) -> None:
        """Send a message."""
        if self._packed:
            await self.connection.send(msgspec.msgpack.encode(message))
        else:
            await self.connection.send(msgspec.json.encode(message).decode())

    async def hear(self) -> dict[str, Any]:
        """Return the server's next message."""
        async with asyncio.timeout(WAIT):
            data = await self.connection.recv()
        assert isinstance(data, bytes) is self._packed
        message: dict[str, Any]
        message = msgspec.json.decode(data) if isinstance(data, str) else msgspec.msgpack.decode(data)
        if not self._packed:
            check_message(message)
        return message

    async def subscribed(self, name: str = "a", **wanted: Any) -> int:
        """Subscribe, after the hello; return the position that was promised."""
        hello = await self.hear()
        assert hello["op"] == "hello"
        await self.say(op="subscribe", id=name, **wanted)
        answer = await self.hear()
        assert answer["op"] == "subscribed", answer
        return int(answer["position"])

    async def snapshot(self, position: int) -> list[dict[str, Any]]:
        """Return the rows of a whole snapshot, which is of this position."""
        rows: list[dict[str, Any]] = []
        while True:
            message = await self.hear()
            assert (message["op"], message["position"]) == ("snapshot", position)
            rows += message["alarms"]
            if message["done"]:
                return rows

    async def events(self, until: int) -> list[dict[str, Any]]:
        """Return the events up to the one at this position."""
        got: list[dict[str, Any]] = []
        while not got or got[-1]["position"] < until:
            message = await self.hear()
            assert message["op"] == "events", message
            got += message["events"]
        return got

    async def closed(self) -> tuple[int, str]:
        """Read to the end; return with which code and reason the server closed."""
        async with asyncio.timeout(WAIT):
            with suppress(Exception):
                while True:
                    await self.connection.recv()
                    self.heard += 1
            await self.connection.wait_closed()
        return self.connection.close_code or 0, self.connection.close_reason or ""


@asynccontextmanager
async def streaming(
    *, allowed_origins: Sequence[str] = (), authentication: Authentication | None = None, **options: Any
) -> AsyncIterator[Streams]:
    """Run a server for as long as the context lasts; `options` are the driver's."""
    known = authentication or Authentication(None, MemoryApiKeys(), MemoryRevocations(), HOST)
    options.setdefault("authenticate", known.caller)
    events = Events()
    log, alarms, checkpoints = MemoryLog("log-1", events), MemoryAlarmList(), MemoryCheckpoints()
    sources = Sources(log, alarms, checkpoints, MemoryAlarmRebuild(alarms, checkpoints))
    driver = StreamDriver(sources, "log-1", 0, **options)
    endpoint = stream_endpoint(driver, allowed_origins=allowed_origins, authentication=authentication)
    routes = [WebSocketRoute("/v1/stream", endpoint), *routed(events_over_http.routes)]
    guard = Middleware(Authorization, known, PERMISSIONS, allowed_origins)
    app = Starlette(routes=routes, middleware=[guard], exception_handlers=problems.HANDLERS)
    share(app, AppState(services=HttpStage().services, stream=driver))
    listener = socket.create_server(("127.0.0.1", 0), backlog=2_048)
    # Small, so that a client that takes nothing is soon noticed.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 * 1024)
    url = f"ws://127.0.0.1:{listener.getsockname()[1]}/v1/stream"
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            http=HttpProtocol,
            ws=StreamProtocol,
            ws_max_size=64 * 1024,
            ws_per_message_deflate=False,
            lifespan="off",
            log_config=None,
        )
    )
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(driver.run())
        serving = tasks.create_task(server.serve(sockets=[listener]))
        try:
            yield Streams(driver, Plant(), log, events, alarms, checkpoints, url)
        finally:
            server.should_exit = True
            await serving
            running.cancel()

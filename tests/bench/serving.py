"""A server as `tocsin serve` runs it, on a log in memory, and what it is fed with."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute

from adapters.memory.alarms import MemoryAlarmList
from adapters.memory.checkpoints import MemoryCheckpoints
from adapters.memory.log import MemoryLog
from adapters.memory.rebuild import MemoryAlarmRebuild
from adapters.streaming.driver import StreamDriver
from adapters.streaming.fetching import Sources
from adapters.uvicorn.websocket import StreamProtocol
from core.alarm.events import Event
from core.delivery.encodings.json import JSON
from core.delivery.frame import FRAME_BYTES
from core.delivery.ring import EncodedEvent
from entrypoints.http.routes.stream import stream_endpoint
from tests.kit.delivery import Plant

SOURCES = 100


@asynccontextmanager
async def serving(log: MemoryLog | None = None, position: int = 0) -> AsyncIterator[tuple[StreamDriver, int]]:
    """Run it; the driver has read the log up to `position`."""
    alarms, checkpoints = MemoryAlarmList(), MemoryCheckpoints()
    rebuild = MemoryAlarmRebuild(alarms, checkpoints)
    sources = Sources(log or MemoryLog("log"), alarms, checkpoints, rebuild)
    driver = StreamDriver(sources, "log", position)
    app = Starlette(routes=[WebSocketRoute("/v1/stream", stream_endpoint(driver))])
    listener = socket.create_server(("127.0.0.1", 0), backlog=2_048)
    config = uvicorn.Config(
        app,
        ws=StreamProtocol,
        ws_per_message_deflate=False,
        ws_ping_interval=None,
        lifespan="off",
        log_config=None,
        log_level="error",
    )
    server = uvicorn.Server(config)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(driver.run())
        serving = tasks.create_task(server.serve(sockets=[listener]))
        await until(lambda: server.started)
        yield driver, listener.getsockname()[1]
        server.should_exit = True
        await serving
        running.cancel()


def usual_events(count: int) -> list[Event]:
    """Return events as they really are, about 1 KB as clients get them, from position 1."""
    plant = Plant()
    return [
        plant.reported(
            f"plant/{number % SOURCES}",
            text=f"Pressure {number / 10:.1f} bar is over the limit of 10 bar",
            labels={"site": "north", "unit": "boiler-house", "line": "3"},
        )
        for number in range(count)
    ]


def framed(events: list[Event]) -> bytes:
    """Return the frame that carries the events."""
    body = JSON.events_body([JSON.event(EncodedEvent(event)) for event in events], events[-1].position)
    return JSON.events("alarms", body)


def subscribed(driver: StreamDriver) -> int:
    """Count the subscriptions."""
    return sum(len(session.subscriptions) for session in driver._delivery.sessions)


def settled(driver: StreamDriver, position: int) -> bool:
    """Tell whether every session has been sent everything up to the position."""
    return not driver._sending._blocked and all(
        subscription.cursor >= position
        for session in driver._delivery.sessions
        for subscription in session.subscriptions.values()
    )


async def until(done: Callable[[], bool], seconds: float = 120.0) -> None:
    """Wait, looking seldom: looking costs CPU time as well."""
    async with asyncio.timeout(seconds):
        while not done():
            await asyncio.sleep(0.02)


def frames(events: list[Event]) -> list[bytes]:
    """Return them in as few frames as a session gets that is behind."""
    size = FRAME_BYTES // len(framed(events[:1]))
    return [framed(events[start : start + size]) for start in range(0, len(events), size)]

"""Delivery against bare sockets: CPU for each delivery, a burst, memory of a session, cost of filters."""

import asyncio
import gc
import multiprocessing
import resource
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import uvicorn
import uvloop
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute

from adapters.memory.alarms import MemoryAlarmList
from adapters.memory.checkpoints import MemoryCheckpoints
from adapters.memory.log import MemoryLog
from adapters.memory.rebuild import MemoryAlarmRebuild
from adapters.websocket.driver import StreamDriver
from adapters.websocket.fetching import Sources
from adapters.websocket.protocol import StreamProtocol
from core.delivery.delivery import Delivery
from core.delivery.encoding import JSON
from core.delivery.frame import FRAME_BYTES
from core.delivery.protocol import Subscribe
from core.delivery.ring import Entry
from core.delivery.subscribing import Subscribing
from core.events import Event
from core.filter import Filter
from entrypoints.stream import stream_endpoint
from tests.bench.drains import clients
from tests.bench.table import Row, median, print_table
from tests.kit.delivery import Plant

SESSIONS = 1_000
SINGLES = 100
BURST = 10_000
IDLE = 10_000
FEW = 100
ROUNDS = 3
MOST_KB = 30.0
MOST_MICROSECONDS = 30.0
SUBSCRIBE = b'{"op":"subscribe","id":"alarms"}'


def run(_uri: str = "") -> list[Row]:
    """Measure everything, in a process of its own: what is measured is memory, too."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        return process.submit(_measured).result()


def _measured() -> list[Row]:
    return [
        uvloop.run(_memory()),
        uvloop.run(_fan_out()),
        uvloop.run(_burst()),
        *_filters(),
    ]


async def _fan_out() -> Row:
    """One event to every session of a cohort, as it comes."""
    events = usual_events(SINGLES * ROUNDS)
    ours: list[float] = []
    floor: list[float] = []
    async with serving() as (driver, port), bare() as floor_server:
        with clients(port, [SUBSCRIBE] * SESSIONS), clients(floor_server.port, [b""] * SESSIONS):
            await until(lambda: subscribed(driver) == SESSIONS == len(floor_server.transports))
            gc.freeze()
            for start in range(0, len(events), SINGLES):
                batch = events[start : start + SINGLES]
                ours.append(await cpu(lambda batch=batch: _one_by_one(driver, batch)))  # type: ignore[misc]
                floor.append(await cpu(lambda batch=batch: floor_server.one_by_one(batch)))  # type: ignore[misc]
    return _row("one event to 1,000 sessions, CPU a delivery", ours, floor, SINGLES * SESSIONS, "<= 1.7")


async def _one_by_one(driver: StreamDriver, events: list[Event]) -> None:
    for event in events:
        driver.publish([event])
        await until(lambda: settled(driver))


async def _burst() -> Row:
    """Many events at once, of their usual size; the floor writes the same bytes in frames as big."""
    events = usual_events(BURST)
    ours: list[float] = []
    floor: list[float] = []
    async with serving() as (driver, port), bare() as floor_server:
        with clients(port, [SUBSCRIBE] * SESSIONS):
            await until(lambda: subscribed(driver) == SESSIONS)
            ours.append(await cpu(lambda: _all_at_once(driver, events)))
        with clients(floor_server.port, [b""] * SESSIONS):
            await until(lambda: len(floor_server.transports) == SESSIONS)
            floor.append(await cpu(lambda: floor_server.all_at_once(_frames(events))))
    return _row("burst of 10,000 events to 1,000, CPU a delivery", ours, floor, BURST * SESSIONS, "<= 1.5")


async def _all_at_once(driver: StreamDriver, events: list[Event]) -> None:
    for start in range(0, len(events), SESSIONS):
        driver.publish(events[start : start + SESSIONS])
        await asyncio.sleep(0)
    await until(lambda: settled(driver))


async def _memory() -> Row:
    """What an idle session takes, with a subscription."""
    async with serving() as (driver, port):
        gc.collect()
        before = resident()
        with clients(port, [SUBSCRIBE] * IDLE):
            await until(lambda: subscribed(driver) == IDLE)
            each = (resident() - before) / IDLE / 1024
    aim = f"{MOST_KB:.0f} KB at most"
    return Row("memory of an idle session, of 10,000", f"{each:.1f} KB", aim, each / MOST_KB, "<= 1.0")


def _filters() -> list[Row]:
    """An event that one of many source filters matches, up to the frame that is to be sent."""
    rounds = [(_one_of(FEW), _one_of(IDLE)) for _ in range(ROUNDS)]
    few, many = (median(list(times)) for times in zip(*rounds, strict=True))
    return [
        Row(
            "one of 10,000 source filters matches, CPU",
            f"{many:.1f} us",
            f"{MOST_MICROSECONDS:.0f} us at most",
            many / MOST_MICROSECONDS,
            "<= 1.0",
        ),
        Row("the same against one of 100", f"{many:.1f} us", f"{few:.1f} us", many / few, "<= 2.0"),
    ]


def _one_of(count: int) -> float:
    delivery: Delivery[None] = Delivery("log", 0)
    subscribing = Subscribing(delivery)
    for number in range(count):
        session = delivery.connect("default", "anonymous", JSON, None)
        wanted = Filter(sources=frozenset({f"plant/{number}"}))
        subscribing.handle(session, Subscribe(id="alarms", filter=wanted))
    list(delivery.outgoing())
    events = usual_events(2_000)
    before = time.process_time()
    for event in events:
        delivery.publish([event])
        for _ in delivery.outgoing():
            pass
    return (time.process_time() - before) / len(events) * 1e6


class Bare:
    """A server that only writes: what it costs to move the bytes."""

    def __init__(self) -> None:
        self.transports: list[asyncio.Transport] = []
        self.waiting = 0
        self.port = 0

    async def one_by_one(self, events: list[Event]) -> None:
        """Write each event in a frame of its own to every socket."""
        for event in events:
            frame = framed([event])
            for transport in self.transports:
                transport.write(frame)
            await until(lambda: not any(each.get_write_buffer_size() for each in self.transports))

    async def all_at_once(self, frames: list[bytes]) -> None:
        """Write every frame to every socket as fast as it takes them."""
        self.waiting = len(self.transports)
        for transport in self.transports:
            protocol = transport.get_protocol()
            assert isinstance(protocol, _Writing)
            protocol.begin(frames)
        await until(lambda: not self.waiting)


class _Writing(asyncio.Protocol):
    def __init__(self, server: Bare) -> None:
        self._server = server
        self._upgraded = False
        self._frames: list[bytes] = []
        self._next = 0
        self._paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, _data: bytes) -> None:
        if not self._upgraded:
            self._upgraded = True
            self._transport.write(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
            self._server.transports.append(self._transport)

    def connection_lost(self, _error: Exception | None) -> None:
        self._server.transports.remove(self._transport)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._write()

    def begin(self, frames: list[bytes]) -> None:
        self._frames = frames
        self._write()

    def _write(self) -> None:
        while self._next < len(self._frames) and not self._paused:
            self._next += 1
            self._transport.write(self._frames[self._next - 1])
            if self._next == len(self._frames):
                self._server.waiting -= 1


@asynccontextmanager
async def bare() -> AsyncIterator[Bare]:
    """Run the floor."""
    built = Bare()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Writing(built), "127.0.0.1", 0, backlog=2_048)
    built.port = server.sockets[0].getsockname()[1]
    try:
        yield built
    finally:
        server.close()


@asynccontextmanager
async def serving() -> AsyncIterator[tuple[StreamDriver, int]]:
    """Run a server as `tocsin serve` does, on a log in memory."""
    alarms, checkpoints = MemoryAlarmList(), MemoryCheckpoints()
    rebuild = MemoryAlarmRebuild(alarms, checkpoints)
    sources = Sources(MemoryLog("log"), alarms, checkpoints, rebuild)
    driver = StreamDriver(sources, "log", 0)
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
            f"plant/{number % FEW}",
            text=f"Pressure {number / 10:.1f} bar is over the limit of 10 bar",
            labels={"site": "north", "unit": "boiler-house", "line": "3"},
        )
        for number in range(count)
    ]


def framed(events: list[Event]) -> bytes:
    """Return the frame that carries the events."""
    body = JSON.events_body([JSON.event(Entry(event)) for event in events], events[-1].position)
    return JSON.events("alarms", body)


def _frames(events: list[Event]) -> list[bytes]:
    size = FRAME_BYTES // len(framed(events[:1]))
    return [framed(events[start : start + size]) for start in range(0, len(events), size)]


def subscribed(driver: StreamDriver) -> int:
    """Count the subscriptions."""
    return sum(len(session.subscriptions) for session in driver._delivery.sessions)


def settled(driver: StreamDriver) -> bool:
    """Tell whether every session has been sent everything."""
    last = driver._delivery.ring.last
    return not driver._blocked and all(
        subscription.cursor >= last
        for session in driver._delivery.sessions
        for subscription in session.subscriptions.values()
    )


async def until(done: Callable[[], bool]) -> None:
    """Wait, looking seldom: looking costs CPU time as well."""
    async with asyncio.timeout(60):
        while not done():
            await asyncio.sleep(0.02)


async def cpu(work: Callable[[], Awaitable[None]]) -> float:
    """Return the seconds of CPU that this process takes for the work."""
    before = time.process_time()
    await work()
    return time.process_time() - before


def resident() -> float:
    """Return the bytes of memory that this process has."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return float(pages * resource.getpagesize())


def _row(name: str, ours: list[float], floor: list[float], deliveries: int, aim: str) -> Row:
    each, bottom = (median(times) / deliveries * 1e6 for times in (ours, floor))
    ratio = median([mine / least for mine, least in zip(ours, floor, strict=True)])
    return Row(name, f"{each:.2f} us", f"{bottom:.2f} us", ratio, aim)


def main() -> None:
    """Print the table."""
    print(f"a frame of one event: {len(framed(usual_events(1)))} bytes")
    print_table(run())


if __name__ == "__main__":
    main()

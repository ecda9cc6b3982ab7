"""A thousand sessions come back at once, 10,000 events behind; and what one that is live notices of it."""

import asyncio
import gc
import multiprocessing
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from itertools import count
from multiprocessing.connection import Connection

import msgspec
import uvloop
from msgspec.structs import replace
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from adapters.memory.log import Events, MemoryLog
from adapters.streaming.driver import StreamDriver
from core.alarm.events import Event
from tests.bench.bare_sockets import bare
from tests.bench.drains import clients
from tests.bench.serving import frames, serving, settled, subscribed, until, usual_events
from tests.bench.table import Row, median, percentile
from tests.kit.delivery import Plant

SESSIONS = 1_000
BEHIND = 10_000
ROUNDS = 3
LIVE_SECONDS = 0.02
LIVE_SOURCE = "live/1"
BEGIN = b'{"op":"subscribe","id":"alarms","after":0,"log":"log","filter":{"sources":["plant/*"]}}'
WATCH = f'{{"op":"subscribe","id":"alarms","filter":{{"sources":["{LIVE_SOURCE}"]}}}}'
MOST_MS = 250.0


def run(_uri: str = "") -> list[Row]:
    """Measure in a process of its own."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        return process.submit(_measured).result()


def _measured() -> list[Row]:
    events = usual_events(BEHIND)
    rounds = [(uvloop.run(_ours(events)), uvloop.run(_floor(events))) for _ in range(ROUNDS)]
    seconds = median([ours for (ours, _), _ in rounds])
    floor = median([least for _, least in rounds])
    ratio = median([ours / least for (ours, _), least in rounds])
    late = median([percentile(latencies, 0.99) for (_, latencies), _ in rounds]) * 1e3
    name = "1,000 sessions come back, 10,000 behind"
    return [
        Row(name, f"{seconds:.2f} s", f"{floor:.2f} s", ratio, "<= 3.0"),
        Row(
            "meanwhile a live one, p99",
            f"{late:.0f} ms",
            f"{MOST_MS:.0f} ms at most",
            late / MOST_MS,
            "<= 1.0",
        ),
    ]


async def _ours(events: list[Event]) -> tuple[float, list[float]]:
    """Return the seconds until all are live, and how late a live session was meanwhile."""
    kept = Events()
    for event in events:
        kept.add(event)
    async with serving(MemoryLog("log", kept), BEHIND) as (driver, port):
        with _watcher(port) as watcher:
            await until(lambda: subscribed(driver) == 1)
            gc.collect()
            gc.freeze()
            living = asyncio.create_task(_live(driver, kept))
            began = time.perf_counter()
            with clients(port, [BEGIN] * SESSIONS):
                await until(lambda: subscribed(driver) == SESSIONS + 1 and settled(driver, BEHIND))
                seconds = time.perf_counter() - began
                living.cancel()
            watcher.send("stop")
            return seconds, await asyncio.to_thread(watcher.recv)


async def _floor(events: list[Event]) -> float:
    async with bare() as server:
        server.greeting = frames(events)
        server.waiting = SESSIONS
        began = time.perf_counter()
        with clients(server.port, [b""] * SESSIONS):
            await until(lambda: not server.waiting)
            return time.perf_counter() - began


async def _live(driver: StreamDriver, kept: Events) -> None:
    """Let an event happen now and then that says when it did."""
    plant = Plant()
    for position in count(BEHIND + 1):
        placed = plant.reported(LIVE_SOURCE, text=str(time.monotonic()))
        event = replace(placed, position=position, alarm=replace(placed.alarm, position=position))
        kept.add(event)
        driver.publish([event])
        await asyncio.sleep(LIVE_SECONDS)


@contextmanager
def _watcher(port: int) -> Iterator[Connection]:
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_watch, args=(port, theirs))
    process.start()
    try:
        yield ours
    finally:
        process.kill()
        process.join()


def _watch(port: int, ours: Connection) -> None:
    """Note how long each event took; send that back when told to stop."""
    latencies: list[float] = []
    url = f"ws://127.0.0.1:{port}/v1/stream"
    with connect(
        url, subprotocols=[Subprotocol("tocsin.v1.json")], compression=None, max_size=None
    ) as socket:
        socket.send(WATCH)
        while not ours.poll():
            try:
                message = msgspec.json.decode(socket.recv(timeout=0.1))
            except TimeoutError:
                continue
            now = time.monotonic()
            latencies += [now - float(event["alarm"]["text"]) for event in message.get("events", ())]
    ours.send(latencies)

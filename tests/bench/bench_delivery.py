"""Delivery against bare sockets: CPU for each delivery, a burst, memory of a session, cost of filters."""

import asyncio
import gc
import multiprocessing
import resource
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import uvloop

from adapters.streaming.driver import StreamDriver
from core.access.callers import ANYONE
from core.alarm.events import Event
from core.delivery.delivery import Delivery
from core.delivery.encodings.json import JSON
from core.delivery.protocol import Subscribe
from core.lists.filter import Filter
from tests.bench.bare_sockets import bare
from tests.bench.drains import clients
from tests.bench.serving import framed, frames, serving, settled, subscribed, until, usual_events
from tests.bench.table import Row, median, print_table
from tests.kit.delivery import NOW

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
        await until(lambda: settled(driver, driver._delivery.position))


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
            floor.append(await cpu(lambda: floor_server.all_at_once(frames(events))))
    return _row("burst of 10,000 events to 1,000, CPU a delivery", ours, floor, BURST * SESSIONS, "<= 1.5")


async def _all_at_once(driver: StreamDriver, events: list[Event]) -> None:
    for start in range(0, len(events), SESSIONS):
        driver.publish(events[start : start + SESSIONS])
        await asyncio.sleep(0)
    await until(lambda: settled(driver, driver._delivery.position))


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
    for number in range(count):
        session = delivery.connect(JSON, None, NOW, ANYONE)
        wanted = Filter(sources=frozenset({f"plant/{number}"}))
        delivery.handle(session, Subscribe(id="alarms", filter=wanted))
    list(delivery.outgoing())
    events = usual_events(2_000)
    before = time.process_time()
    for event in events:
        delivery.publish([event])
        for _ in delivery.outgoing():
            pass
    return (time.process_time() - before) / len(events) * 1e6


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

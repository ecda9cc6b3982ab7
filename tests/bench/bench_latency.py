"""A command on one process to the frame on another, against the least that could do it on that MongoDB."""

import asyncio
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
from pymongo import MongoClient
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.bench.table import Row, median, percentile
from tests.kit.ports import free_port
from tests.kit.processes import Process
from tests.kit.servers import TocsinServer

PER_SECOND = 200
SAMPLES = 400
ROUNDS = 7
SOURCES = 50
CONNECTIONS = 8
WAIT = 10.0


@dataclass(frozen=True)
class Contender:
    """Where to post, where frames come from, what a command is, and which numbers a frame carries."""

    port: int
    path: str
    stream: str
    body: Callable[[int], bytes]
    numbers: Callable[[Any], Iterator[int]]


def run(uri: str) -> list[Row]:
    """Measure on the MongoDB at `uri`."""
    name = f"bench_{uuid.uuid4().hex[:8]}"
    try:
        with _servers(uri, name) as (ours, floor):
            return asyncio.run(_compared(ours, floor))
    finally:
        with MongoClient[dict[str, Any]](uri) as client:
            client.drop_database(name)


@contextmanager
def _servers(uri: str, name: str) -> Iterator[tuple[Contender, Contender]]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        a, b = (stack.enter_context(TocsinServer(folder, uri, name)) for _ in range(2))
        ours = Contender(a.port, "/v1/alarms", b.ws_url, _raise, _of_events)
        ports = [_bare(stack, folder, uri, name) for _ in range(2)]
        yield ours, Contender(ports[0], "/", f"ws://127.0.0.1:{ports[1]}/stream", _document, _of_document)


def _bare(stack: ExitStack, folder: Path, uri: str, name: str) -> int:
    port = free_port()
    command = [sys.executable, "-m", "tests.bench.bare_server", uri, name, str(port)]
    process = Process(f"bare:{port}", command, folder / f"bare-{port}.log")
    process.start()
    stack.callback(process.kill)
    process.wait_for_url(f"http://127.0.0.1:{port}/")
    return port


async def _compared(ours: Contender, floor: Contender) -> list[Row]:
    numbers = count(1)
    async with _measuring(ours) as measure_ours, _measuring(floor) as measure_floor:
        rounds = [(await measure_ours(numbers), await measure_floor(numbers)) for _ in range(ROUNDS + 1)]
    # The first round is to warm up.
    return [
        _row("command on A -> frame on B, median", rounds[1:], 0.5, "<= 1.3"),
        _row("command on A -> frame on B, p99", rounds[1:], 0.99, "<= 1.5"),
    ]


def _row(name: str, rounds: list[tuple[list[float], list[float]]], share: float, aim: str) -> Row:
    pairs = [(percentile(mine, share), percentile(least, share)) for mine, least in rounds]
    ours, floor = (median(list(each)) * 1e3 for each in zip(*pairs, strict=True))
    return Row(
        name, f"{ours:.2f} ms", f"{floor:.2f} ms", median([mine / least for mine, least in pairs]), aim
    )


@asynccontextmanager
async def _measuring(contender: Contender) -> AsyncIterator[Callable[[Iterator[int]], Any]]:
    subprotocols = [Subprotocol("tocsin.v1.json")] if contender.path != "/" else None
    connections = [await asyncio.open_connection("127.0.0.1", contender.port) for _ in range(CONNECTIONS)]
    async with connect(contender.stream, subprotocols=subprotocols, compression=None) as socket:
        if subprotocols:
            await socket.send('{"op":"subscribe","id":"a"}')
            assert (await _message(socket))["op"] == "hello"
            assert (await _message(socket))["op"] == "subscribed"

        async def measure(numbers: Iterator[int]) -> list[float]:
            chosen = [next(numbers) for _ in range(SAMPLES)]
            sent: dict[int, float] = {}
            async with asyncio.timeout(SAMPLES / PER_SECOND + WAIT), asyncio.TaskGroup() as tasks:
                arriving = tasks.create_task(_arrivals(socket, contender, set(chosen)))
                free = asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]]()
                for connection in connections:
                    free.put_nowait(connection)
                began = time.perf_counter()
                for place, number in enumerate(chosen):
                    await asyncio.sleep(began + place / PER_SECOND - time.perf_counter())
                    tasks.create_task(_post(free, contender, number, sent))
                arrived = await arriving
            return [arrived[number] - sent[number] for number in chosen]

        yield measure
    for _, writer in connections:
        writer.close()


async def _post(free: asyncio.Queue[Any], contender: Contender, number: int, sent: dict[int, float]) -> None:
    reader, writer = connection = await free.get()
    body = contender.body(number)
    head = f"POST {contender.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    sent[number] = time.perf_counter()
    writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    answer = await reader.readuntil(b"\r\n\r\n")
    lengths = [line for line in answer.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    await reader.readexactly(int(lengths[0].split(b":")[1]))
    assert answer[9:11] == b"20", answer
    free.put_nowait(connection)


async def _arrivals(socket: ClientConnection, contender: Contender, expected: set[int]) -> dict[int, float]:
    arrived: dict[int, float] = {}
    while len(arrived) < len(expected):
        message = await _message(socket)
        now = time.perf_counter()
        arrived.update((number, now) for number in contender.numbers(message) if number in expected)
    return arrived


async def _message(socket: ClientConnection) -> Any:
    return msgspec.json.decode(await socket.recv())


def _raise(number: int) -> bytes:
    return msgspec.json.encode(
        {
            "source": f"boiler/{number % SOURCES}",
            "type": "overpressure",
            "severity": "major",
            "text": f"Pressure {number} mbar is over the limit of 10 bar",
            "labels": {"plant": "north"},
        }
    )


def _of_events(message: Any) -> Iterator[int]:
    for event in message.get("events", ()):
        yield int(event["alarm"]["text"].split()[1])


def _document(number: int) -> bytes:
    filling = {f"field_{place}": f"what an event of about 870 bytes holds, {place:03}" for place in range(14)}
    return msgspec.json.encode({"number": number, **filling})


def _of_document(message: Any) -> Iterator[int]:
    yield message["number"]

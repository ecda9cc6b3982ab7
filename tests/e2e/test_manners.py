"""How a server treats its clients: those that are slow, those that are gone, and all when it ends."""

import asyncio
import base64
import itertools
import json
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.e2e.conftest import Servers
from tests.kit.clients import streaming
from tests.kit.eventsource import event_source
from tests.kit.replicasets import ReplicaSet
from tests.kit.servers import TocsinServer

pytestmark = pytest.mark.e2e

BIG = "x" * 4_000
CLIENTS = 8


@pytest.fixture
def strict(replica_set: ReplicaSet, database: str, tmp_path: Path) -> Iterator[TocsinServer]:
    """Give a server that waits for nobody for long."""
    options = ["--stall-seconds", "0.5", "--ping-seconds", "2.5", "--max-sessions", "4"]
    with TocsinServer(tmp_path, replica_set.uri, database, options=options) as server:
        yield server


async def post_many(server: TocsinServer, count: int, text: str = "") -> None:
    numbers = iter(range(count))
    async with server.client() as http:

        async def post() -> None:
            for number in numbers:
                body = {"source": f"pump-{number}", "type": "leak", "severity": "major", "text": text}
                (await http.post("/v1/alarms", json=body)).raise_for_status()

        await asyncio.gather(*(post() for _ in range(CLIENTS)))


@asynccontextmanager
async def load(server: TocsinServer) -> AsyncIterator[list[int]]:
    """Raise alarms at the server for as long as the context lasts; give the positions it answered."""
    answered: list[int] = []
    numbers, over = itertools.count(), asyncio.Event()

    async def post(http: httpx.AsyncClient) -> None:
        while not over.is_set():
            body = {"source": f"pump-{next(numbers)}", "type": "leak", "severity": "major"}
            answer = await http.post("/v1/alarms", json=body)
            answered.append(answer.raise_for_status().json()["position"])

    async with server.client() as http, asyncio.TaskGroup() as tasks:
        for _ in range(4):
            tasks.create_task(post(http))
        yield answered
        over.set()


async def test_who_is_sent_away_misses_nothing_elsewhere(servers: Servers) -> None:
    ending, other = servers
    async with (
        load(other) as answered,
        ending.client() as http,
        streaming(ending.ws_url) as client,
        event_source(f"{ending.url}/v1/events") as source,
    ):
        started = int((await source.expect("subscribed")).id.rpartition(":")[2])
        sources = await source.events(until=started + 50)
        await client.until(50)
        leaving = asyncio.ensure_future(asyncio.to_thread(ending.terminate))
        while (message := await client.receive())["op"] != "goodbye":
            pass
        assert (await http.get("/readyz")).status_code == 503
        with pytest.raises(ConnectionClosed) as closed:
            await client.receive()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012
        assert 0 <= message["retry_after_ms"] <= 5_000
        rest = await source.ended()
        assert [sent.event for sent in rest if not sent.event.startswith("alarm.")] == ["goodbye"]
        sources += [sent.data for sent in rest if sent.event != "goodbye"]
        assert await leaving == 0
        async with (
            streaming(other.ws_url, after=client.position, log=client.log) as again,
            event_source(f"{other.url}/v1/events", last_id=source.last_id) as source_again,
        ):
            last = answered[-1] + 50
            await again.until_position(last)
            sources += await source_again.events(until=last)
    for seen in (client.events + again.events, sources):
        positions = [event["position"] for event in seen]
        assert positions == list(range(positions[0], positions[0] + len(positions)))
        assert positions[0] <= started + 1 or seen is not sources
        assert positions[-1] >= last


async def test_slow_clients_and_dead_ones_harm_nobody(strict: TocsinServer) -> None:
    async with (
        asyncio.timeout(60),
        connect(
            strict.ws_url, compression=None, max_size=None, sock=narrow(strict), ping_interval=None
        ) as slow,
        streaming(strict.ws_url) as quick,
    ):
        await slow.recv()
        await slow.send('{"op":"subscribe","id":"a"}')
        await slow.recv()
        slow.transport.pause_reading()
        dead = asyncio.ensure_future(until_closed(strict))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(post_many(strict, 400, BIG))
            tasks.create_task(quick.until(400))
            sizes = await frames_once_cut(strict, slow)
        assert [event["position"] for event in quick.events] == list(range(1, 401))
        assert slow.close_code == 4408
        assert max(sizes) > 1
        await dead


async def frames_once_cut(server: TocsinServer, slow: ClientConnection) -> list[int]:
    """Read again once the server has given up; return how many events each frame had that was on its way."""
    await asyncio.to_thread(server.process.wait_for_line, "took nothing for too long")
    slow.transport.resume_reading()
    sizes = []
    with suppress(ConnectionClosed):
        while True:
            sizes.append(len(json.loads(await slow.recv())["events"]))
    return sizes


def narrow(server: TocsinServer) -> socket.socket:
    """Return a connection that holds little."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    connection.connect(("127.0.0.1", server.port))
    connection.setblocking(False)
    return connection


async def until_closed(server: TocsinServer) -> None:
    """Open a WebSocket that never answers a ping, and read until the server closes it with 1011."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    key = base64.b64encode(os.urandom(16)).decode()
    lines = [
        "GET /v1/stream HTTP/1.1",
        "Host: 127.0.0.1",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {key}",
        "Sec-WebSocket-Version: 13",
    ]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    received = await reader.read()
    writer.close()
    ping, close = b"\x89\x04", b"\x88\x18\x03\xf3keepalive ping timeout"
    assert received.index(ping) < received.index(close)


async def test_what_is_beyond_the_limits_is_turned_away(strict: TocsinServer) -> None:
    async with (
        streaming(strict.ws_url) as one,
        event_source(f"{strict.url}/v1/events"),
        event_source(f"{strict.url}/v1/events"),
        event_source(f"{strict.url}/v1/events"),
        event_source(f"{strict.url}/v1/events") as beyond,
    ):
        assert beyond.response.status_code == 503
        assert int(beyond.response.headers["retry-after"]) > 0
        async with connect(strict.ws_url) as another:
            assert json.loads(await another.recv())["code"] == "too_many_sessions"
            with pytest.raises(ConnectionClosed):
                await another.recv()
            assert another.close_code == 4429
        await one.send_text("x" * 70_000)
        with pytest.raises(ConnectionClosed) as closed:
            await one.receive()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009

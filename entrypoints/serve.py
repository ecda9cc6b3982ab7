"""One server process: HTTP and WebSocket on one port, until a signal ends it."""

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator

import uvicorn
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute

from adapters.websocket.protocol import StreamProtocol
from core.errors import StartupRefused
from entrypoints.compose import alone, running, storage
from entrypoints.http.app import create_app
from entrypoints.settings import Settings
from entrypoints.stream import stream_endpoint
from entrypoints.webhooks_file import apply_entries, read_entries

logger = logging.getLogger("tocsin.serve")

FRAME_BYTES = 64 * 1024
"""The largest WebSocket frame taken from a client."""
BACKLOG = 2_048
SHUTDOWN_SECONDS = 10
"""How long requests under way may take to end."""
PING_SECONDS = 20.0


class _Server(uvicorn.Server):
    """uvicorn without its own signal handling: it would close every socket before they are drained."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to `serve`."""
        yield


async def run_server(settings: Settings, started: Callable[[str], None]) -> None:
    """Run one server process until a signal ends it. `started` is told its address.

    Raises:
        StartupRefused: the settings are unsafe, or the address cannot be had.
        Unavailable: MongoDB cannot be reached.
    """
    settings.check()
    entries = read_entries(settings.webhooks_file) if settings.webhooks_file is not None else None
    chosen = (settings.mongodb_uri, settings.database, settings.feed, settings.redis_url)
    async with (
        storage(*chosen) as store,
        alone(store),
        running(store, settings.webhook_allow) as process,
    ):
        if entries is not None:
            await apply_entries(entries, process.services.outgoing)
        stream = stream_endpoint(process.stream, allowed_origins=settings.allowed_origins)
        app = create_app(process.services, [WebSocketRoute("/v1/stream", stream)])
        url = f"http://{settings.host}:{settings.port}"
        await serve(
            app, settings.host, settings.port, started=lambda: started(url), drain=process.stream.drain
        )


async def serve(
    app: Starlette, host: str, port: int, *, started: Callable[[], None], drain: Callable[[], Awaitable[None]]
) -> None:
    """Serve until SIGINT or SIGTERM, then drain and end. `started` is called once the port is open.

    Raises:
        StartupRefused: the address cannot be had.
    """
    listener = _listener(host, port)
    server = _Server(_config(app))
    ending = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ending.set)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    stopping = asyncio.create_task(ending.wait())
    try:
        started()
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not serving.done():
            logger.info("draining")
            await drain()
            server.should_exit = True
        await serving
    finally:
        stopping.cancel()
        server.should_exit = True
        listener.close()


def _config(app: Starlette) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        ws=StreamProtocol,
        ws_max_size=FRAME_BYTES,
        ws_per_message_deflate=False,
        ws_ping_interval=PING_SECONDS,
        ws_ping_timeout=PING_SECONDS,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise StartupRefused(f"cannot listen on {host}:{port}: {error.strerror}") from error
    listener.setblocking(False)  # noqa: FBT003 (the standard library takes no keyword)
    return listener

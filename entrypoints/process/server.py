"""One server process: HTTP and WebSocket on one port, until a signal ends it."""

import asyncio
import contextlib
import logging
import resource
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator

import uvicorn
from starlette.routing import WebSocketRoute
from starlette.types import ASGIApp

from adapters.uvicorn.http import HttpProtocol
from adapters.uvicorn.websocket import StreamProtocol
from core.access.callers import DEFAULT_TENANT
from core.errors import StartupRefused
from entrypoints.http.admission import Admission
from entrypoints.http.app import EVERYTHING, HEALTH, create_app
from entrypoints.http.middleware.tracing import Traced, tracing
from entrypoints.http.middleware.traffic import Traffic
from entrypoints.http.routes.metrics import Metrics, metrics_route
from entrypoints.http.routes.stream import stream_endpoint
from entrypoints.process.compose import running, trusted_tokens
from entrypoints.process.gc import Collector
from entrypoints.process.routing_keys import tenant_of_routing_key
from entrypoints.process.settings import Settings
from entrypoints.process.storage import alone, storage
from entrypoints.process.webhooks_file import apply_entries, read_entries

logger = logging.getLogger("tocsin.serve")

BACKLOG = 2_048
SHUTDOWN_SECONDS = 10
"""How long requests under way may take to end."""
SEND_BYTES = 256 * 1024
"""How much the kernel holds for a client; it would take megabytes, and hide for long who is slow."""
SPARE_FILES = 256
"""How many files a process needs besides its sessions' sockets."""


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
    tokens, origins = trusted_tokens(settings.auth_secret, settings.auth_jwks), settings.allowed_origins
    async with (
        tracing(wanted=settings.traces) as traces,
        storage(settings) as store,
        alone(store, settings.role),
        running(
            store,
            tokens=tokens,
            limits=settings.limits,
            webhook_allow=settings.webhook_allow,
            role=settings.role,
            traces=traces,
        ) as process,
    ):
        if entries is not None:
            await apply_entries(entries, process.services.outgoing)
        driver, authentication = process.stream, process.services.authentication
        everybody = None if authentication.required else DEFAULT_TENANT
        serves = settings.role != "worker"
        stream = stream_endpoint(driver, allowed_origins=origins, authentication=authentication)
        traffic = Traffic(logs=settings.log_requests)
        app = create_app(
            process.services,
            [WebSocketRoute("/v1/stream", stream)] if serves else [],
            driver,
            own=EVERYTHING if serves else HEALTH,
            allowed_origins=origins,
            local=not authentication.required,
            admission=Admission(settings.command_rate),
            tenant_of=tenant_of_routing_key(settings.pagerduty_keys, everybody),
            traffic=traffic,
        )
        metrics = Metrics(process.metered(traffic, app.state.ingested))
        app.router.routes.append(metrics_route(metrics.text))
        _allow_files(settings.limits.sessions + SPARE_FILES)
        url = f"http://{settings.host}:{settings.port}"
        collecting = asyncio.create_task(Collector(lambda: (driver.opened, driver.sessions)).run())
        try:
            await serve(
                app if traces is None else Traced(app, traces),
                settings,
                started=lambda: started(url),
                drain=lambda: driver.drain(settings.drain_seconds),
            )
        finally:
            collecting.cancel()


async def serve(
    app: ASGIApp,
    settings: Settings,
    *,
    started: Callable[[], None],
    drain: Callable[[], Awaitable[None]],
) -> None:
    """Serve until SIGINT or SIGTERM, then drain and end. `started` is called once the port is open.

    Raises:
        StartupRefused: the address cannot be had.
    """
    listener = _listener(settings.host, settings.port, shared=settings.shared_port)
    server = _Server(_config(app, settings))
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
            if settings.shared_port:
                # Who comes now is to reach a process that stays.
                for each in server.servers:
                    each.close()
            await drain()
            server.should_exit = True
        await serving
    finally:
        stopping.cancel()
        server.should_exit = True
        listener.close()


def _config(app: ASGIApp, settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=HttpProtocol,
        ws=StreamProtocol,
        ws_max_size=settings.limits.message_bytes,
        ws_per_message_deflate=False,
        ws_ping_interval=settings.ping_seconds,
        ws_ping_timeout=settings.ping_seconds,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )


def _allow_files(wanted: int) -> None:
    """Raise the soft limit of open files as far as it may be: the usual 1,024 end at as many sessions."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed < wanted:
        logger.warning("only %d files may be open here: fewer than %d sessions will fit", allowed, wanted)


def _listener(host: str, port: int, *, shared: bool = False) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    # Accepted sockets inherit it.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BYTES)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise StartupRefused(f"cannot listen on {host}:{port}: {error.strerror}") from error
    listener.setblocking(False)  # noqa: FBT003 (the standard library takes no keyword)
    return listener

"""Runs uvicorn with Tocsin's protocols and listener, and drains sessions before it ends."""

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager

import uvicorn
from starlette.types import ASGIApp

from adapters.uvicorn.http import HttpProtocol
from adapters.uvicorn.websocket import StreamProtocol
from core.application.waiting import first_of
from entrypoints.process.settings import Settings

logger = logging.getLogger("tocsin.serve")

SHUTDOWN_SECONDS = 10
"""How long requests under way may take to end."""


class _Server(uvicorn.Server):
    """uvicorn without its signal handling, which would close sockets before they are drained."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to `serve`."""
        yield


async def serve(
    app: ASGIApp,
    settings: Settings,
    listener: socket.socket,
    *,
    started: Callable[[], None],
    drain: Callable[[], Awaitable[None]],
) -> None:
    """Serve until SIGINT or SIGTERM, then drain and end; call `started` once signals are handled."""
    server = _Server(_config(app, settings))
    ending = signalled()
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        started()
        await first_of(ending.wait(), watched=[serving])
        if not serving.done():
            logger.info("draining")
            if settings.shared_port:
                # New connections must reach a process that stays.
                for each in server.servers:
                    each.close()
            await drain()
            server.should_exit = True
        await serving
    finally:
        server.should_exit = True


@asynccontextmanager
async def serving(app: ASGIApp, settings: Settings, listener: socket.socket) -> AsyncIterator[None]:
    """Serve while the context lasts, without sessions and without a look at signals."""
    server = _Server(_config(app, settings))
    running = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield
    finally:
        server.should_exit = server.force_exit = True
        await running


def signalled() -> asyncio.Event:
    """Return an event that SIGINT and SIGTERM set, until the next call: that one's event takes over."""
    ending, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ending.set)
    return ending


def _config(app: ASGIApp, settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=HttpProtocol,
        ws=StreamProtocol,
        ws_max_size=settings.limits.message_bytes,
        ws_per_message_deflate=False,
        ws_ping_interval=settings.ping_seconds,
        ws_ping_timeout=settings.ping_seconds,
        # Given here, so that FORWARDED_ALLOW_IPS, which uvicorn reads by itself, says nothing.
        forwarded_allow_ips=list(settings.trusted_proxies),
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )

"""Runs one server process: HTTP and WebSocket on one port."""

import asyncio
from collections.abc import Callable, Sequence

from starlette.applications import Starlette
from starlette.routing import WebSocketRoute

from adapters.tokens.claims import Meant
from core.access.callers import DEFAULT_TENANT
from core.access.ports import TokenVerifier
from core.application.background import Background
from entrypoints.http.admission import Admission
from entrypoints.http.api import OPERATIONS
from entrypoints.http.app import HEALTH, PAGES, create_app
from entrypoints.http.ingest_counts import IngestCounts
from entrypoints.http.middleware.tracing import Traced
from entrypoints.http.middleware.traffic import Traffic
from entrypoints.http.routes.metrics import Metrics
from entrypoints.http.routes.stream import stream_endpoint
from entrypoints.http.state import AppState
from entrypoints.process.coexistence import alone
from entrypoints.process.compose import Process, running
from entrypoints.process.gc import Collector
from entrypoints.process.host import MACHINE
from entrypoints.process.routing_keys import tenant_of_routing_key
from entrypoints.process.settings import Settings
from entrypoints.process.shared_settings import digests_of
from entrypoints.process.sockets import allow_sessions, listening
from entrypoints.process.starting import WaitingRoom, run_when_possible
from entrypoints.process.storage import storage
from entrypoints.process.tokens import token_verifier
from entrypoints.process.tracing import tracing
from entrypoints.process.uvicorn_server import serve
from entrypoints.process.webhooks_file import WebhookEntry, apply_entries, read_entries


async def run_server(settings: Settings, started: Callable[[str], None]) -> None:
    """Run one server process until a signal ends it; call `started` with its URL.

    While MongoDB is away it waits, not ready, and tries again for ever.

    Raises:
        StartupRefused: the settings are unsafe or unusable, or the address is not available.
    """
    settings.check()
    entries = read_entries(settings.webhooks_file) if settings.webhooks_file is not None else None
    tokens = token_verifier(
        settings.auth_secret,
        settings.auth_jwks,
        Meant(issuer=settings.auth_issuer, audience=settings.auth_audience),
    )

    async def run(room: WaitingRoom) -> None:
        await _run_started(settings, tokens, entries, room, started)

    await run_when_possible(settings, run)


async def _run_started(
    settings: Settings,
    tokens: TokenVerifier | None,
    entries: Sequence[WebhookEntry] | None,
    room: WaitingRoom,
    started: Callable[[str], None],
) -> None:
    """Start the process and run it. Raises StartupRefused; Unavailable: MongoDB cannot be reached (yet)."""
    background = Background(MACHINE.chance)
    async with (
        tracing(wanted=settings.traces) as traces,
        storage(settings) as store,
        alone(store.kind, store.leases, background, settings.role),
        running(
            store,
            tokens=tokens,
            limits=settings.limits,
            webhook_allow=settings.webhook_allow,
            outbox_days=settings.outbox_days,
            digests=lambda: digests_of(settings, store.kind),
            role=settings.role,
            traces=traces,
            peers=(settings.peer_host, settings.peer_port),
            background=background,
        ) as process,
    ):
        if entries is not None:
            await apply_entries(entries, process.services.outgoing, store.webhooks)
        await room.close()
        app = _application(process, settings)
        driver = process.stream
        allow_sessions(settings.limits.sessions)
        collector = Collector(lambda: (driver.opened, driver.sessions))
        collecting = asyncio.create_task(
            process.background.keep("the garbage collector", "working", collector.run)
        )
        try:
            with listening(settings.host, settings.port, shared=settings.shared_port) as listener:
                await serve(
                    app if traces is None else Traced(app, traces),
                    settings,
                    listener,
                    started=lambda: started(f"http://{settings.host}:{settings.port}"),
                    drain=lambda: _drain(process, settings.drain_seconds),
                )
        finally:
            collecting.cancel()


async def _drain(process: Process, seconds: float) -> None:
    process.hand_over()
    await process.stream.drain(seconds)


def _application(process: Process, settings: Settings) -> Starlette:
    """Return the process's application: every route, or for a worker only health and metrics."""
    driver, authentication = process.stream, process.services.authentication
    everybody = None if authentication.required else DEFAULT_TENANT
    serves, origins = settings.role != "worker", settings.allowed_origins
    stream = stream_endpoint(driver, allowed_origins=origins, authentication=authentication)
    traffic, ingested = Traffic(logs=settings.log_requests), IngestCounts()
    state = AppState(
        services=process.services,
        stream=driver,
        admission=Admission(settings.command_rate),
        tenant_of=tenant_of_routing_key(settings.pagerduty_keys, everybody),
        ingested=ingested,
        metrics=Metrics(process.metric_sources(traffic, ingested)).text,
    )
    return create_app(
        state,
        [*PAGES, WebSocketRoute("/v1/stream", stream)] if serves else [],
        operations=OPERATIONS if serves else HEALTH,
        allowed_origins=origins,
        local=not authentication.required,
        traffic=traffic,
    )

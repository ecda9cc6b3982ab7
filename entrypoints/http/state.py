"""What the handlers of one application share, as one object."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from starlette.applications import Starlette
from starlette.requests import Request

from adapters.streaming.driver import StreamDriver
from core.access.callers import DEFAULT_TENANT
from entrypoints.http.admission import Admission
from entrypoints.http.ingest_counts import IngestCounts
from entrypoints.http.services import Services

ADDING_UP = 2
"""How many requests may add up buckets at the same time."""

TenantOf = Callable[[str], str | None]
"""Returns the tenant of a routing key; None: there is no such key."""


def _default_tenant(_: str) -> str | None:
    return DEFAULT_TENANT


async def _no_metrics(_: str) -> bytes:
    return b""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppState:
    """The process's services, and what belongs to HTTP alone.

    `stream` serves event streams, on a server that runs with `HttpProtocol`; None: there are none.
    `adding_up`: taken by a request while it adds up buckets. `metrics` returns the text of `/metrics` for a
    tenant's caller.
    """

    services: Services
    stream: StreamDriver | None = None
    admission: Admission = field(default_factory=Admission)
    tenant_of: TenantOf = _default_tenant
    ingested: IngestCounts = field(default_factory=IngestCounts)
    adding_up: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(ADDING_UP))
    metrics: Callable[[str], Awaitable[bytes]] = _no_metrics


def share(app: Starlette, state: AppState) -> None:
    """Let the application's handlers find the state."""
    app.state.shared = state


def state_of(request: Request) -> AppState:
    """Return what the handlers of the request's application share."""
    found: AppState = request.app.state.shared
    return found


def services_of(request: Request) -> Services:
    """Return the process's services."""
    found: Services = request.app.state.shared.services
    return found

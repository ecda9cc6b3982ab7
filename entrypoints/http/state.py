"""What the handlers of one application share, as one object."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from starlette.applications import Starlette
from starlette.requests import Request

from adapters.streaming.driver import StreamDriver
from core.access.callers import DEFAULT_TENANT
from core.application.places import Places
from entrypoints.http.admission import Admission
from entrypoints.http.ingest_counts import IngestCounts
from entrypoints.http.services import Services

ADDING_UP = 2
"""How many requests may add up buckets at the same time."""

COSTLY_QUERIES = max(1, min(4, (os.cpu_count() or 1) // 2))
"""How many queries that look at many alarms run at the same time: each can keep a core of mongod busy."""
QUERIES_WAITING = 32
QUERY_SECONDS = 5.0
"""How long a costly query waits for its place."""
LOG_PAGES = 2
"""How many pages of events are read and encoded at the same time."""
PAGES_WAITING = 64
PAGE_SECONDS = 5.0
"""How long a page of events waits for its place."""
LARGE_PAYLOADS = 2
"""How many payloads of more than 1 MiB are read and carried out at the same time."""
PAYLOADS_WAITING = 16
PAYLOAD_SECONDS = 5.0
"""How long a large payload waits for its place."""

TenantOf = Callable[[str], str | None]
"""Returns the tenant of a routing key; None: there is no such key."""


def _default_tenant(_: str) -> str | None:
    return DEFAULT_TENANT


def _costly_queries() -> Places:
    return Places("costly queries", COSTLY_QUERIES, QUERIES_WAITING, QUERY_SECONDS)


def _log_pages() -> Places:
    return Places("pages of events", LOG_PAGES, PAGES_WAITING, PAGE_SECONDS)


def _large_payloads() -> Places:
    return Places("large payloads", LARGE_PAYLOADS, PAYLOADS_WAITING, PAYLOAD_SECONDS)


async def _no_metrics(_: str) -> bytes:
    return b""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppState:
    """The process's services, and what belongs to HTTP alone.

    `stream` serves event streams, on a server that runs with `HttpProtocol`; None: there are none.
    `splitting`: taken by a large bulk request while it is split: no turn of the loop is for two of them.
    `adding_up`: taken by a request while it adds up buckets. `costly_queries`: the places of queries that
    look at many alarms: as of a moment, by words, exports, counts. `log_pages`: those of pages of events.
    `large_payloads`: those of ingested payloads beyond 1 MiB, whose bodies stay in memory until they are
    carried out. `metrics` returns the text of `/metrics` for a tenant's caller.
    """

    services: Services
    stream: StreamDriver | None = None
    admission: Admission = field(default_factory=Admission)
    tenant_of: TenantOf = _default_tenant
    ingested: IngestCounts = field(default_factory=IngestCounts)
    splitting: asyncio.Lock = field(default_factory=asyncio.Lock)
    adding_up: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(ADDING_UP))
    costly_queries: Places = field(default_factory=_costly_queries)
    log_pages: Places = field(default_factory=_log_pages)
    large_payloads: Places = field(default_factory=_large_payloads)
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

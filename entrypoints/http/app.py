"""The HTTP application: every route, every error's handler."""

import asyncio
from collections.abc import Collection, Sequence

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import BaseRoute

from adapters.streaming.driver import StreamDriver
from core.access.callers import DEFAULT_TENANT
from entrypoints.http import problems
from entrypoints.http.admission import Admission
from entrypoints.http.api import OPERATIONS, PERMISSIONS
from entrypoints.http.documents import reference
from entrypoints.http.middleware.authorization import Authorization
from entrypoints.http.middleware.traffic import Counting, Traffic
from entrypoints.http.operations import routed
from entrypoints.http.routes import console, health, metrics, stats
from entrypoints.http.routes.alertmanager import IngestCounts
from entrypoints.process.routing_keys import TenantOf, tenant_of_routing_key
from entrypoints.process.services import Services

EVERYTHING: Sequence[BaseRoute] = (*routed(OPERATIONS), *reference.ROUTES, *console.ROUTES)
"""What a process offers that serves clients."""
HEALTH: Sequence[BaseRoute] = routed((*health.routes, *metrics.routes))
"""What a process offers that only works."""


def create_app(  # noqa: PLR0913 (what the process was set up with)
    services: Services,
    routes: Sequence[BaseRoute] = (),
    stream: StreamDriver | None = None,
    *,
    admission: Admission | None = None,
    tenant_of: TenantOf | None = None,
    traffic: Traffic | None = None,
    allowed_origins: Collection[str] = (),
    local: bool = False,
    own: Sequence[BaseRoute] = EVERYTHING,
) -> Starlette:
    """Return the application over the process's services; `routes` come beside `own`.

    `stream`: what serves event streams, on a server that runs with `HttpProtocol`. `allowed_origins`,
    `local`: see Authorization. Whoever serves `/metrics` sets `state.metrics`.

    Raises:
        ValueError: a route should be guarded and is no operation's.
    """
    PERMISSIONS.check([*own, *routes])
    counting = Middleware(Counting, traffic or Traffic())
    guard = Middleware(Authorization, services.authentication, PERMISSIONS, allowed_origins, local=local)
    app = Starlette(
        routes=[*own, *routes], middleware=[counting, guard], exception_handlers=problems.HANDLERS
    )
    # A redirect would be an answer that is neither JSON nor a problem.
    app.router.redirect_slashes = False
    app.state.services = services
    app.state.stream = stream
    app.state.admission = admission or Admission()
    app.state.tenant_of_routing_key = tenant_of or tenant_of_routing_key("", DEFAULT_TENANT)
    app.state.ingested = IngestCounts()
    app.state.adding_up = asyncio.Semaphore(stats.AT_ONCE)
    return app

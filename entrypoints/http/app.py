"""Builds the HTTP application: routes, middleware and error handlers."""

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
"""The routes of a process that serves clients."""
HEALTH: Sequence[BaseRoute] = routed((*health.routes, *metrics.routes))
"""The routes of a worker process."""


def create_app(  # noqa: PLR0913 (the process's configuration)
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
    """Return the application on the process's services, with the routes `own` and `routes`.

    `stream` serves event streams, on a server that runs with `HttpProtocol`. `allowed_origins`, `local`: see
    Authorization. A caller that serves `/metrics` sets `state.metrics`.

    Raises:
        ValueError: no operation declares a route on a guarded path.
    """
    PERMISSIONS.check([*own, *routes])
    counting = Middleware(Counting, traffic or Traffic())
    guard = Middleware(Authorization, services.authentication, PERMISSIONS, allowed_origins, local=local)
    app = Starlette(
        routes=[*own, *routes], middleware=[counting, guard], exception_handlers=problems.HANDLERS
    )
    # A redirect would be neither JSON nor a problem.
    app.router.redirect_slashes = False
    app.state.services = services
    app.state.stream = stream
    app.state.admission = admission or Admission()
    app.state.tenant_of_routing_key = tenant_of or tenant_of_routing_key("", DEFAULT_TENANT)
    app.state.ingested = IngestCounts()
    app.state.adding_up = asyncio.Semaphore(stats.AT_ONCE)
    return app

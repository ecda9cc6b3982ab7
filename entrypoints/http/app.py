"""The HTTP application: every route, every error's handler."""

from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.routing import BaseRoute

from entrypoints.http import bulk, commands, health, ingest, pagerduty, problems, queries
from entrypoints.http.admission import Admission
from entrypoints.http.exchange import TENANT
from entrypoints.integrations import TenantOf, tenant_of_routing_key
from entrypoints.services import Services


def create_app(
    services: Services,
    routes: Sequence[BaseRoute] = (),
    admission: Admission | None = None,
    tenant_of: TenantOf | None = None,
) -> Starlette:
    """Return the application over the process's services; `routes` come beside those of this package."""
    own = [*commands.ROUTES, *bulk.ROUTES, *queries.ROUTES, *ingest.ROUTES, *pagerduty.ROUTES, *health.ROUTES]
    app = Starlette(routes=[*own, *routes], exception_handlers=problems.HANDLERS)
    # A redirect would be an answer that is neither JSON nor a problem.
    app.router.redirect_slashes = False
    app.state.services = services
    app.state.admission = admission or Admission()
    app.state.tenant_of_routing_key = tenant_of or tenant_of_routing_key("", TENANT)
    app.state.ingested = ingest.Counts()
    return app

"""The HTTP application: every route, every error's handler."""

from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.routing import BaseRoute

from entrypoints.http import commands, health, ingest, outbox, problems, queries, webhooks
from entrypoints.services import Services


def create_app(services: Services, routes: Sequence[BaseRoute] = ()) -> Starlette:
    """Return the application over the process's services; `routes` come beside those of this package."""
    own = [*commands.ROUTES, *queries.ROUTES, *ingest.ROUTES, *health.ROUTES]
    own += [*webhooks.ROUTES, *outbox.ROUTES]
    app = Starlette(routes=[*own, *routes], exception_handlers=problems.HANDLERS)
    # A redirect would be an answer that is neither JSON nor a problem.
    app.router.redirect_slashes = False
    app.state.services = services
    app.state.ingested = ingest.Counts()
    return app

"""The HTTP application: every route, every error's handler."""

from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.routing import BaseRoute

from adapters.websocket.driver import StreamDriver
from entrypoints.http import commands, events, health, ingest, listing, problems, queries
from entrypoints.services import Services


def create_app(
    services: Services, routes: Sequence[BaseRoute] = (), stream: StreamDriver | None = None
) -> Starlette:
    """Return the application over the process's services; `routes` come beside those of this package.

    `stream`: what serves event streams, on a server that runs with `HttpProtocol`.
    """
    own = [*commands.ROUTES, *listing.ROUTES, *queries.ROUTES, *events.ROUTES, *ingest.ROUTES, *health.ROUTES]
    app = Starlette(routes=[*own, *routes], exception_handlers=problems.HANDLERS)
    # A redirect would be an answer that is neither JSON nor a problem.
    app.router.redirect_slashes = False
    app.state.services = services
    app.state.stream = stream
    app.state.ingested = ingest.Counts()
    return app

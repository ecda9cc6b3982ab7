"""Builds the HTTP application: routes, middleware and error handlers."""

from collections.abc import Collection, Sequence

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import BaseRoute

from entrypoints.http import problems
from entrypoints.http.api import OPERATIONS, PERMISSIONS
from entrypoints.http.documents import reference
from entrypoints.http.middleware.authorization import Authorization
from entrypoints.http.middleware.traffic import Counting, Traffic
from entrypoints.http.operations import routed
from entrypoints.http.routes import console, health, metrics
from entrypoints.http.state import AppState, share

EVERYTHING: Sequence[BaseRoute] = (*routed(OPERATIONS), *reference.ROUTES, *console.ROUTES)
"""The routes of a process that serves clients."""
HEALTH: Sequence[BaseRoute] = routed((*health.routes, *metrics.routes))
"""The routes of a worker process."""


def create_app(  # noqa: PLR0913 (the process's configuration)
    state: AppState,
    routes: Sequence[BaseRoute] = (),
    *,
    traffic: Traffic | None = None,
    allowed_origins: Collection[str] = (),
    local: bool = False,
    own: Sequence[BaseRoute] = EVERYTHING,
) -> Starlette:
    """Return the application, whose handlers share `state`, with the routes `own` and `routes`.

    `allowed_origins`, `local`: see Authorization.

    Raises:
        ValueError: no operation declares a route on a guarded path.
    """
    PERMISSIONS.check([*own, *routes])
    counting = Middleware(Counting, traffic or Traffic())
    guard = Middleware(
        Authorization, state.services.authentication, PERMISSIONS, allowed_origins, local=local
    )
    app = Starlette(
        routes=[*own, *routes], middleware=[counting, guard], exception_handlers=problems.HANDLERS
    )
    # A redirect would be neither JSON nor a problem.
    app.router.redirect_slashes = False
    share(app, state)
    return app

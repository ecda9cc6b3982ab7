"""Builds the HTTP application: routes, middleware and error handlers."""

from collections.abc import Collection, Sequence

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import BaseRoute

from entrypoints.http import problems
from entrypoints.http.api import OPERATIONS, PERMISSIONS
from entrypoints.http.documents import reference
from entrypoints.http.middleware.authorization import Authorization
from entrypoints.http.middleware.dispatch import Dispatch
from entrypoints.http.middleware.traffic import Counting, Traffic
from entrypoints.http.operations import Operation, routed
from entrypoints.http.routes import console, health, metrics
from entrypoints.http.state import AppState, share

HEALTH: Sequence[Operation] = (*health.routes, *metrics.routes)
"""The operations of a worker process."""
PAGES: Sequence[BaseRoute] = (*reference.ROUTES, *console.ROUTES)
"""What a process that serves clients has for browsers."""


def create_app(  # noqa: PLR0913 (the process's configuration)
    state: AppState,
    routes: Sequence[BaseRoute] = PAGES,
    *,
    traffic: Traffic | None = None,
    allowed_origins: Collection[str] = (),
    local: bool = False,
    operations: Sequence[Operation] = OPERATIONS,
) -> Starlette:
    """Return the application, whose handlers share `state`, with these operations and `routes`.

    `allowed_origins`, `local`: see Authorization.

    Raises:
        ValueError: no operation declares a route on a guarded path.
    """
    # The router knows the operations too: it answers other methods of their paths, and HEAD.
    everything = [*routed(operations), *routes]
    PERMISSIONS.check(everything)
    counting = Middleware(Counting, traffic or Traffic())
    guard = Middleware(
        Authorization, state.services.authentication, PERMISSIONS, allowed_origins, local=local
    )
    app = Starlette(
        routes=everything,
        middleware=[counting, guard, Middleware(Dispatch, operations)],
        exception_handlers=problems.HANDLERS,
    )
    # A redirect would be neither JSON nor a problem.
    app.router.redirect_slashes = False
    share(app, state)
    return app

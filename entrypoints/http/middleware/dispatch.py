"""Calls the endpoints of operations directly: Starlette's router and its layers cost more than a command."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from entrypoints.http import audit, problems
from entrypoints.http.matching import Matching
from entrypoints.http.middleware.authorization import caller_in
from entrypoints.http.operations import Operation


class Dispatch:
    """Answers the operations; everything else is for the application: other paths and other methods."""

    def __init__(self, app: ASGIApp, operations: Sequence[Operation]) -> None:
        self._app = app
        self._matching = Matching(operations)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request, or let the application do it."""
        matched = self._matching.find(scope["method"], scope["path"]) if scope["type"] == "http" else None
        if matched is None:
            await self._app(scope, receive, send)
            return
        # Counts and traces name the request by its route's path.
        scope["route"] = matched.operation
        scope["path_params"] = matched.parameters
        answer = _answer(Request(scope, receive, send), matched.operation)
        if audit.is_audited(matched.operation):
            answer = audit.recorded(scope, caller_in(scope), matched.operation, answer)
        response = await answer
        await response(scope, receive, send)


async def _answer(request: Request, operation: Operation) -> Response:
    """Return the operation's answer, or that to the error it raised. Raises what is a fault of the server."""
    try:
        return await operation.endpoint(request)
    except Exception as error:
        handler = problems.handler_of(error)
        if handler is None:
            raise
        return await handler(request, error)

"""Makes a span of each request."""

from typing import TYPE_CHECKING

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from entrypoints.http.middleware.traffic import UNROUTED

if TYPE_CHECKING:
    from adapters.otel.traces import Traces


class Traced:
    """Makes a span of each request, the parent of what the request records."""

    def __init__(self, app: ASGIApp, traces: "Traces") -> None:
        self._app = app
        self._traces = traces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request within its span."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = MutableHeaders(scope=scope)
        with self._traces.request(scope["method"], headers.get("traceparent")) as (traceparent, answered):
            if traceparent:
                headers["traceparent"] = traceparent

            async def sent(message: Message) -> None:
                if message["type"] == "http.response.start":
                    answered(getattr(scope.get("route"), "path", UNROUTED), message["status"])
                await send(message)

            await self._app(scope, receive, sent)

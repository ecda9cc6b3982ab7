"""Traces requests from HTTP to delivery, if the settings ask for it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.alarm.events import Event
from core.errors import StartupRefused
from entrypoints.http.middleware.traffic import UNROUTED
from entrypoints.process.host import holder

if TYPE_CHECKING:
    from adapters.otel.traces import Traces


@asynccontextmanager
async def tracing(*, wanted: bool) -> AsyncIterator["Traces | None"]:
    """Yield the tracer; None: it is not wanted. Raises StartupRefused: OpenTelemetry is not installed."""
    if not wanted:
        yield None
        return
    try:
        from adapters.otel.traces import Traces  # noqa: PLC0415 (an optional dependency)
    except ModuleNotFoundError as error:
        raise StartupRefused("traces need OpenTelemetry: pip install 'tocsin[otel]'") from error
    traces = Traces(holder())
    try:
        yield traces
    finally:
        # Closing waits until the remaining spans are sent.
        await asyncio.to_thread(traces.close)


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


Publish = Callable[[Sequence[Event]], None]


def traced(publish: Publish, traces: "Traces | None") -> Publish:
    """Return `publish` with a span for each event that has a trace."""
    if traces is None:
        return publish

    def published(events: Sequence[Event]) -> None:
        with traces.delivering(events):
            publish(events)

    return published

"""Builds the tracer, from requests to deliveries, if the settings ask for it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from core.alarm.events import Event
from core.errors import StartupRefused
from entrypoints.process.host import holder

if TYPE_CHECKING:
    from adapters.otel.traces import Traces

Publish = Callable[[Sequence[Event]], None]


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


def traced(publish: Publish, traces: "Traces | None") -> Publish:
    """Return `publish` with a span for each event that has a trace."""
    if traces is None:
        return publish

    def published(events: Sequence[Event]) -> None:
        with traces.delivering(events):
            publish(events)

    return published

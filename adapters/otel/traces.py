"""Spans from a request to the delivery of its event, on whichever process that is."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from core.alarm.alarm import Alarm
from core.alarm.events import Event
from core.log.ports import EventAppender

SERVER_ERROR = 500

_propagator = TraceContextTextMapPropagator()

Answered = Callable[[str, int], None]
"""Takes the route's template and the status of what was answered."""


class Traces:
    """Makes spans, and sends them in the background to OTEL_EXPORTER_OTLP_ENDPOINT; a full queue drops some.

    The traceparent of a request's span is stored with its event, so that what other processes do with it
    belongs to the same trace.
    """

    def __init__(self, process: str) -> None:
        resource = Resource.create({"service.name": "tocsin", "service.instance.id": process})
        self._provider = TracerProvider(resource=resource)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("tocsin")

    @contextmanager
    def request(self, method: str, traceparent: str | None) -> Iterator[tuple[str, Answered]]:
        """Make the span of a request; give its traceparent, and what is to be told how it was answered."""
        context = _context(traceparent)
        with self._tracer.start_as_current_span(method, context=context, kind=SpanKind.SERVER) as span:
            carrier: dict[str, str] = {}
            _propagator.inject(carrier)

            def answered(route: str, status: int) -> None:
                _describe(span, method, route, status)

            yield carrier.get("traceparent", ""), answered

    @contextmanager
    def delivering(self, events: Sequence[Event]) -> Iterator[None]:
        """Make a span for each event that has a trace, around what hands them to the sessions."""
        with ExitStack() as spans:
            for event in events:
                if event.trace is not None:
                    span = self._tracer.start_span(
                        "deliver", context=_context(event.trace), kind=SpanKind.CONSUMER
                    )
                    span.set_attribute("tocsin.position", event.position)
                    span.set_attribute("tocsin.type", event.type)
                    spans.callback(span.end)
            yield

    def appender(self, appender: EventAppender) -> EventAppender:
        """Return the appender with a span around each append."""
        return TracedAppender(appender, self)

    @contextmanager
    def appending(self, event: Event) -> Iterator[Span]:
        """Make the span of an append, within that of the request."""
        with self._tracer.start_as_current_span("append") as span:
            span.set_attribute("tocsin.type", event.type)
            yield span

    def close(self) -> None:
        """Send what is waiting, and stop."""
        self._provider.shutdown()


class TracedAppender:
    """Appends, with a span around each append (see core.log.ports.EventAppender)."""

    def __init__(self, appender: EventAppender, traces: Traces) -> None:
        self._appender = appender
        self._traces = traces

    async def append(self, before: Alarm, event: Event) -> Event:
        """Append, and say in the span at which position."""
        with self._traces.appending(event) as span:
            recorded = await self._appender.append(before, event)
            span.set_attribute("tocsin.position", recorded.position)
            return recorded


def _context(traceparent: str | None) -> Context:
    return _propagator.extract({} if traceparent is None else {"traceparent": traceparent}, context=Context())


def _describe(span: Span, method: str, route: str, status: int) -> None:
    span.update_name(f"{method} {route}")
    span.set_attribute("http.request.method", method)
    span.set_attribute("http.route", route)
    span.set_attribute("http.response.status_code", status)
    if status >= SERVER_ERROR:
        span.set_status(StatusCode.ERROR)

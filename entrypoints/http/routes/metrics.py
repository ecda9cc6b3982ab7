"""Serves the process's metrics in Prometheus' text format, read from plain counters at each scrape."""

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response

from adapters.streaming.driver import StreamDriver
from core.application.agreement import Agreement
from core.application.feed import Feed
from core.application.lag import Lag
from core.application.webhooks.relay import Relay
from core.counters import AppendCounts, Histogram
from core.errors import Unavailable
from core.log.handler import CommandHandler
from core.outbox.ports import Backlog, BacklogReader, WebhookDirectory
from core.outbox.webhook import Webhook
from core.roles import READERS
from entrypoints.http.ingest_counts import IngestCounts
from entrypoints.http.middleware.traffic import Traffic
from entrypoints.http.operations import Media, Routes
from entrypoints.http.requests import caller
from entrypoints.http.state import state_of

T = TypeVar("T")

logger = logging.getLogger("tocsin.metrics")

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
ASK_SECONDS = 2.0
"""How long the store may take for its figures; afterwards the others are shown without them."""

routes = Routes("health")


@dataclass(frozen=True, slots=True)
class StoreFigures:
    """Figures that only the store knows: each projection's lag, the outbox's backlog, and the webhooks."""

    lags: Sequence[Lag]
    backlog: Sequence[Backlog] = ()
    webhooks: Sequence[Webhook] = ()


@dataclass(frozen=True, slots=True)
class MetricSources:
    """The parts of a process that count, and the readers of the store's figures."""

    append: AppendCounts
    agreement: Agreement
    feed: Feed
    stream: StreamDriver
    relay: Relay
    handler: CommandHandler
    traffic: Traffic
    ingested: IngestCounts
    lags: Callable[[], Awaitable[Sequence[Lag]]]
    outbox: BacklogReader
    webhooks: WebhookDirectory
    now: Callable[[], datetime]


class Metrics:
    """The metrics of one process; those of the store are the same in all."""

    def __init__(self, sources: MetricSources) -> None:
        self._sources = sources

    async def text(self, tenant: str) -> bytes:
        """Return all metrics as text; other tenants' webhooks have other names than their ids."""
        stored: StoreFigures | None = None
        with suppress(Unavailable, TimeoutError):
            async with asyncio.timeout(ASK_SECONDS):
                stored = await self._stored()
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Snapshot(self._sources, stored, tenant))
        return generate_latest(registry)

    async def _stored(self) -> StoreFigures:
        sources = self._sources
        return StoreFigures(
            await _readable("lags", sources.lags()),
            await _readable("backlog of the outbox", sources.outbox.backlog()),
            await _readable("webhooks", sources.webhooks.all()),
        )


@routes.declare(
    "GET",
    "/metrics",
    "metrics",
    "Show this process's figures, for Prometheus",
    roles=READERS,
    answers={200: Media(("text/plain",))},
)
async def metrics(request: Request) -> Response:
    """Return this process's metrics as text."""
    text = await state_of(request).metrics(caller(request).tenant)
    return Response(text, media_type=CONTENT_TYPE)


async def _readable(figures: str, asked: Awaitable[Sequence[T]]) -> Sequence[T]:
    """Return the figures, none if what is stored cannot be read. Raises Unavailable: the store is away."""
    try:
        return await asked
    except Unavailable:
        raise
    except Exception:
        # An event at the log's tail that this version cannot read must not hide all other figures.
        logger.exception("the %s cannot be measured, and are left out", figures)
        return ()


def webhook_label(webhook: str, of: str, tenant: str) -> str:
    """Return a webhook's name for a caller of `tenant`: its id, or a lasting stand-in if it is another's."""
    return webhook if of == tenant else f"other-{hashlib.sha256(webhook.encode()).hexdigest()[:12]}"


@dataclass(frozen=True, slots=True, eq=False)
class _Snapshot(Collector):
    sources: MetricSources
    stored: StoreFigures | None
    tenant: str

    def collect(self) -> Iterator[Metric]:
        """Yield every metric."""
        yield from self._log()
        yield from self._delivery()
        yield from self._commands()
        yield from self._webhooks()
        yield _gauge(
            "tocsin_settings_differing",
            "Settings that another process has otherwise.",
            len(self.sources.agreement.differing),
        )
        yield _gauge(
            "tocsin_store_reachable", "Whether MongoDB answered this scrape.", self.stored is not None
        )
        if self.stored is not None:
            yield from _stored(self.stored, self.sources.now(), self.tenant)

    def _log(self) -> Iterator[Metric]:
        counts, feed = self.sources.append, self.sources.feed
        yield _counter("tocsin_append_events", "Events that this process appended.", counts.events)
        yield _counter("tocsin_append_conflicts", "Positions and revisions lost to others.", counts.conflicts)
        yield _counter("tocsin_append_forwarded", "Events forwarded to the one appender.", counts.forwarded)
        yield _histogram("tocsin_append_batch_events", "Events in an append.", {"": counts.sizes})
        yield _histogram("tocsin_append_seconds", "How long an append took.", {"": counts.seconds})
        yield _gauge("tocsin_feed_position", "The newest position that was read.", feed.position)
        yield _gauge("tocsin_feed_lag_positions", "Positions heard of and not yet read.", feed.lag)
        yield _gauge("tocsin_feed_connected", "Whether the doorbell is connected.", feed.live)

    def _delivery(self) -> Iterator[Metric]:
        stream = self.sources.stream
        yield _gauge("tocsin_sessions", "Open sessions.", stream.sessions)
        yield _gauge("tocsin_draining", "Whether clients are sent away.", stream.draining)
        yield _counter("tocsin_sessions_opened", "Sessions ever opened.", stream.opened)
        yield _counter("tocsin_delivery_messages", "Messages sent to sessions.", stream.counts.messages)
        yield _counter("tocsin_delivery_slow", "Times that a socket was full.", stream.counts.slow)
        closed = CounterMetricFamily(
            "tocsin_sessions_closed", "Sessions closed by the server.", labels=["code"]
        )
        for code, times in sorted(stream.counts.closed.items()):
            closed.add_metric([str(code)], times)
        yield closed

    def _commands(self) -> Iterator[Metric]:
        commands = CounterMetricFamily(
            "tocsin_commands", "Commands by outcome.", labels=["command", "outcome"]
        )
        for names, times in sorted(self.sources.handler.counts.items()):
            commands.add_metric(names, times)
        yield commands
        answers = CounterMetricFamily(
            "tocsin_http_requests", "Answers over HTTP.", labels=["method", "route", "status"]
        )
        for (method, route, status), times in sorted(self.sources.traffic.answers.items()):
            answers.add_metric([method, route, str(status)], times)
        yield answers
        seconds = dict(sorted(self.sources.traffic.seconds.items()))
        yield _histogram("tocsin_http_request_seconds", "How long a request took.", seconds, "route")
        ingested = self.sources.ingested
        yield _counter("tocsin_ingest_alerts", "Alerts taken in.", ingested.alerts)
        yield _counter("tocsin_ingest_refused", "Alerts that the rules refused.", ingested.refused)
        yield _counter("tocsin_ingest_truncated", "Alerts that senders left out.", ingested.truncated)
        yield _counter("tocsin_ingest_dropped", "Alerts about nothing that is open.", ingested.dropped)

    def _webhooks(self) -> Iterator[Metric]:
        names = ["webhook"]
        attempts = CounterMetricFamily("tocsin_webhook_attempts", "Calls made.", labels=names)
        delivered = CounterMetricFamily("tocsin_webhook_delivered", "Events delivered.", labels=names)
        dead = CounterMetricFamily("tocsin_webhook_dead", "Events given up.", labels=names)
        latency: dict[str, Histogram] = {}
        for webhook, counts in sorted(self.sources.relay.counts.items()):
            name = webhook_label(webhook, counts.tenant, self.tenant)
            attempts.add_metric([name], counts.attempts)
            delivered.add_metric([name], counts.delivered)
            dead.add_metric([name], counts.dead)
            latency[name] = counts.latency
        yield from (attempts, delivered, dead)
        yield _histogram("tocsin_webhook_seconds", "How long a call took.", latency, "webhook")


def _stored(stored: StoreFigures, now: datetime, tenant: str) -> Iterator[Metric]:
    positions = GaugeMetricFamily(
        "tocsin_projection_lag_positions", "Events that a projection lacks.", labels=["projection"]
    )
    seconds = GaugeMetricFamily(
        "tocsin_projection_lag_seconds", "Age of the oldest of them.", labels=["projection"]
    )
    for lag in stored.lags:
        positions.add_metric([lag.projection], lag.positions)
        seconds.add_metric([lag.projection], lag.seconds)
    yield positions
    yield seconds
    pending = GaugeMetricFamily("tocsin_outbox_pending", "Rows to be sent.", labels=["webhook"])
    dead = GaugeMetricFamily("tocsin_outbox_dead", "Rows that were given up.", labels=["webhook"])
    oldest = GaugeMetricFamily("tocsin_outbox_oldest_seconds", "Age of the oldest.", labels=["webhook"])
    for each in stored.backlog:
        age = 0.0 if each.oldest is None else max(0.0, (now - each.oldest).total_seconds())
        name = [webhook_label(each.webhook, each.tenant, tenant)]
        pending.add_metric(name, each.pending)
        dead.add_metric(name, each.dead)
        oldest.add_metric(name, age)
    yield from (pending, dead, oldest)
    disabled = GaugeMetricFamily(
        "tocsin_webhook_disabled",
        "Whether a webhook is disabled; the reason is empty if people disabled it.",
        labels=["webhook", "reason"],
    )
    for webhook in stored.webhooks:
        label = webhook_label(webhook.id, webhook.tenant, tenant)
        disabled.add_metric([label, webhook.disabled_reason or ""], not webhook.enabled)
    yield disabled


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(name, text, value=value)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _histogram(name: str, text: str, histograms: Mapping[str, Histogram], label: str | None = None) -> Metric:
    family = HistogramMetricFamily(name, text, labels=[] if label is None else [label])
    for value, histogram in histograms.items():
        buckets = _buckets(histogram.bounds, histogram.buckets)
        family.add_metric([] if label is None else [value], buckets, histogram.total)
    return family


def _buckets(bounds: Sequence[float], counts: Sequence[int]) -> list[tuple[str, float]]:
    """Return cumulative buckets, as Prometheus expects them."""
    named, below = [*(str(float(bound)) for bound in bounds), "+Inf"], 0
    buckets: list[tuple[str, float]] = []
    for name, count in zip(named, counts, strict=True):
        below += count
        buckets.append((name, below))
    return buckets

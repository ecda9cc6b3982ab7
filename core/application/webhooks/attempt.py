"""One call to a webhook: what is sent, and what is counted of it."""

from dataclasses import dataclass, field
from datetime import datetime

from core.counters import Histogram
from core.outbox.formats import CONTENT_TYPES, sealed
from core.outbox.ports import WebhookSender
from core.outbox.row import Settlement
from core.outbox.schedule import Answer
from core.outbox.signing import signature
from core.outbox.webhook import Webhook

LATENCY_SECONDS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
"""The upper bounds of the buckets in which calls are counted."""


@dataclass(slots=True)
class CallCounts:
    """What a webhook's calls came to since the process started, and how long they took."""

    attempts: int = 0
    delivered: int = 0
    dead: int = 0
    seconds: Histogram = field(default_factory=lambda: Histogram(LATENCY_SECONDS))

    def count(self, answer: Answer, settlement: Settlement) -> None:
        """Count a call."""
        self.attempts += 1
        self.delivered += settlement.row.state == "delivered"
        self.dead += settlement.row.state == "dead"
        self.seconds.observe(answer.seconds)


@dataclass(frozen=True, slots=True)
class WebhookMessage:
    """What is sent, the same on every try; `trace` is a W3C traceparent."""

    id: str
    body: bytes
    trace: str | None = None


async def deliver(caller: WebhookSender, webhook: Webhook, message: WebhookMessage, now: datetime) -> Answer:
    """Make one call: the message's id stays the same on every try, its timestamp is of this one."""
    sent = sealed(webhook, message.body)
    timestamp = int(now.timestamp())
    headers = {
        "content-type": CONTENT_TYPES[webhook.format],
        "webhook-id": message.id,
        "webhook-timestamp": str(timestamp),
    }
    if webhook.secrets:
        headers["webhook-signature"] = signature(webhook.secrets, message.id, timestamp, sent)
    if message.trace is not None:
        headers["traceparent"] = message.trace
    return await caller.call(webhook.url, headers, sent)

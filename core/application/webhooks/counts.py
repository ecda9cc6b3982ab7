"""Counts the calls to a webhook."""

from dataclasses import dataclass, field

from core.counters import Histogram
from core.outbox.row import Settlement
from core.outbox.schedule import CallResult

LATENCY_SECONDS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
"""The upper bounds of the histogram's buckets."""


def _latency() -> Histogram:
    return Histogram(LATENCY_SECONDS)


@dataclass(slots=True)
class CallCounts:
    """A tenant's webhook's calls since the process started; `latency` holds their durations (s)."""

    tenant: str
    attempts: int = 0
    delivered: int = 0
    dead: int = 0
    latency: Histogram = field(default_factory=_latency)

    def count(self, answer: CallResult, settlement: Settlement) -> None:
        """Count a call."""
        self.attempts += 1
        self.delivered += settlement.row.state == "delivered"
        self.dead += settlement.row.state == "dead"
        self.latency.observe(answer.seconds)

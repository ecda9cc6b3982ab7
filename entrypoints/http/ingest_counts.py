"""Counts what came in through the integrations of other systems."""

from dataclasses import dataclass


@dataclass(slots=True)
class IngestCounts:
    """Counts the alerts taken in since the process started.

    `truncated`: alerts that senders left out; `dropped`: alerts about no open alarm.
    """

    alerts: int = 0
    refused: int = 0
    truncated: int = 0
    dropped: int = 0

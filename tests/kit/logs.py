"""All that a log offers, for the tests that use more of it than any part of the program does."""

from typing import Protocol

from core.log.ports import DecisionReader, EventAppender, QueryReader, ReplayReader


class EventLog(EventAppender, DecisionReader, QueryReader, ReplayReader, Protocol):
    """Every port of the log at once, as its adapters implement them."""

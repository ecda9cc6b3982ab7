"""All that a log offers, for the tests that use more of it than any part of the program does."""

from typing import Protocol

from core.log.ports import DecisionReader, EventAppender, QueryReader, ReplayReader, StreamLister


class EventLog(EventAppender, DecisionReader, QueryReader, ReplayReader, StreamLister, Protocol):
    """Every port of the log at once, as its adapters implement them."""

"""Moments by MongoDB's clock, as expressions of updates."""

from adapters.mongo.client import Document


def from_now(seconds: float) -> Document:
    """Return the moment so many seconds from now, to the millisecond."""
    return {"$add": ["$$NOW", round(seconds * 1_000)]}

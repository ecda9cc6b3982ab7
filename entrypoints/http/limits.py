"""Limits on the bodies of requests, which the problems that refuse them name."""

BODY_BYTES = 1024 * 1024
INGEST_BYTES = 32 * 1024 * 1024
"""Far beyond what senders of alerts send, since they would give up on a 413."""
BODY_SECONDS = 20.0
"""How long a body may take, besides the time for its bytes at the least rate."""
LEAST_BYTES_PER_SECOND = 64 * 1024
COMMANDS = 1_000
"""The most commands in one request."""


def in_mebibytes(size: int) -> str:
    """Return a size as people write it: `1 MiB`."""
    return f"{size // (1024 * 1024)} MiB"

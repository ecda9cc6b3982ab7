"""How a replay reports its progress."""

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Takes the step under way, how many items are done, and out of how many (0: unknown)."""


def silent(_what: str, _done: int, _total: int) -> None:
    """Report nothing."""

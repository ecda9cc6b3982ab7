"""What a replay tells of itself while it goes on."""

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Is told what is being done, how many are done, and out of how many."""


def silent(_what: str, _done: int, _total: int) -> None:
    """Tell nobody."""

"""Requests for data from outside: the driver fetches it and hands it to the delivery."""

from typing import Any

import msgspec

from core.delivery.session import Subscription


class NeedPage(msgspec.Struct, frozen=True, gc=False):
    """A page of the log after a position on it: hand `Delivery.page` what one read brings.

    `tries`: how often in a row a read brought nothing; wait longer each time.
    """

    number: int
    epoch: int
    after: int
    tries: int = 0


class NeedTail(msgspec.Struct, frozen=True):
    """Whether a majority read of the log's tail reaches `after`: `Delivery.tail`."""

    subscription: Subscription[Any]
    after: int


class NeedSnapshot(msgspec.Struct, frozen=True):
    """The alarm list: `Delivery.snapshot_began`, `snapshot_rows` for each page, `snapshot_ended`."""

    subscription: Subscription[Any]


Request = NeedPage | NeedTail | NeedSnapshot


class Requests:
    """Gathers requests until the driver takes them."""

    def __init__(self) -> None:
        self._added: list[Request] = []

    def add(self, request: Request) -> None:
        """Add a request."""
        self._added.append(request)

    def take(self) -> list[Request]:
        """Return the requests since the last call."""
        taken, self._added = self._added, []
        return taken

    def clear(self) -> None:
        """Drop the requests."""
        self._added.clear()

"""What delivery needs from outside: the driver fetches it and hands it back."""

from typing import Any

import msgspec

from core.delivery.session import Subscription


class NeedPage(msgspec.Struct, frozen=True, gc=False):
    """A page of the log: hand what there is of it to `Delivery.page`.

    `tries`: how often it was read and did not have what was looked for; wait longer each time.
    """

    number: int
    epoch: int
    tries: int = 0


class NeedTail(msgspec.Struct, frozen=True):
    """Whether a majority read of the log's tail reaches the position: `Delivery.tail`."""

    subscription: Subscription[Any]
    after: int


class NeedSnapshot(msgspec.Struct, frozen=True):
    """The alarm list: `Delivery.snapshot_began`, `snapshot_rows` for each page, `snapshot_ended`."""

    subscription: Subscription[Any]


Request = NeedPage | NeedTail | NeedSnapshot


class Requests:
    """What is to be fetched, until the driver takes it."""

    def __init__(self) -> None:
        self._added: list[Request] = []

    def add(self, request: Request) -> None:
        """Ask for something."""
        self._added.append(request)

    def take(self) -> list[Request]:
        """Return what was asked for since the last call."""
        taken, self._added = self._added, []
        return taken

    def clear(self) -> None:
        """Ask for nothing of this any more."""
        self._added.clear()

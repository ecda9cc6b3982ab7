"""A subscription at the client: what is wished for, and how far it was received and handed on."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import msgspec

from core.alarm.alarm import Alarm
from core.delivery.protocol import (
    ErrorMessage,
    EventMessage,
    EventsMessage,
    PositionMessage,
    ResetMessage,
    ResetReason,
    SnapshotMessage,
    Subscribe,
    Subscribed,
)
from core.errors import TocsinError
from core.lists.filter import Filter
from entrypoints.client.errors import SubscriptionRefused

WAITING_MESSAGES = 16
"""How many messages (256 KiB each, about) wait for the consumer before the connection is read no further."""


class SnapshotPage(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A page of the alarm list. `first`: forget the pages before it; `done`: it was the last.

    The rule for what follows: an event at or below the `position` of its alarm's row is in it already.
    """

    alarms: Sequence[Alarm]
    first: bool
    done: bool


class StartOver(msgspec.Struct, frozen=True, gc=False):
    """All that was received is void. A subscription with a snapshot gets a new one, others go on from now."""

    reason: ResetReason


Item = EventMessage | SnapshotPage | StartOver
Told = Subscribed | SnapshotMessage | EventsMessage | PositionMessage | ResetMessage | ErrorMessage


@dataclass(slots=True)
class _Received:
    """What one message brought, and how far everything is received with it."""

    items: deque[Item]
    position: int | None
    log: str | None


class ClientSubscription:
    """An async iterator of items, for one consumer: each event once, positions strictly increasing.

    A consumer that is slow holds the whole connection back (TCP tells the server), so that nothing piles
    up; one that stops early calls `aclose`.
    """

    def __init__(self, wish: Subscribe, end: Callable[["ClientSubscription"], None]) -> None:
        # `after` and `log` of the wish move along with what was received.
        self._wish = wish
        self._end = end
        self._first = True
        self._received: deque[_Received] = deque()
        self._handed = _Received(deque(), wish.after, wish.log)
        self._position = wish.after
        self._failure: TocsinError | None = None
        self._closed = False
        self._filled, self._room = asyncio.Event(), asyncio.Event()
        self.failures = 0

    @property
    def position(self) -> int | None:
        """All up to here was handed to the consumer: `after` of a later subscription. None: unknown."""
        return self._position

    @property
    def log(self) -> str | None:
        """The identity of the log that `position` belongs to; None: unknown."""
        return self._handed.log

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Receive nothing more, and let the connection go on with the others."""
        self._end(self)
        self._closed = True
        self._received.clear()
        self._wake()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Item:
        while not self._handed.items:
            self._position = self._handed.position
            self._handed = await self._next()
        item = self._handed.items.popleft()
        if isinstance(item, EventMessage):
            self._position = item.position
        return item

    def request(self, name: str) -> Subscribe:
        """Return what to ask the server for, under this id."""
        self._first = True
        snapshot = self._wish.snapshot and self._wish.after is None
        return msgspec.structs.replace(self._wish, id=name, snapshot=snapshot)

    def fail(self, error: TocsinError) -> None:
        """Let the consumer have what was received, and then the error."""
        self._failure = error
        self._wake()

    async def take(self, told: Told, log: str | None) -> None:
        """Take what the server said; waits while the consumer is behind."""
        match told:
            case Subscribed():
                self.failures = 0
                if not self._wish.snapshot or self._wish.after is not None:
                    await self._advance([], told.position, log)
            case SnapshotMessage():
                page = SnapshotPage(alarms=told.alarms, first=self._first, done=told.done)
                self._first = False
                await self._advance([page], told.position if told.done else None, log)
            case EventsMessage():
                known = -1 if self._wish.after is None else self._wish.after
                news: list[Item] = [event for event in told.events if event.position > known]
                await self._advance(news, max(told.position, known), log)
            case PositionMessage():
                await self._advance([], max(told.position, self._wish.after or 0), log)
            case ResetMessage():
                await self._advance([StartOver(told.reason)], None, None)
            case ErrorMessage():
                self.fail(SubscriptionRefused(f"{told.code}: {told.detail}"))

    async def _advance(self, items: Iterable[Item], position: int | None, log: str | None) -> None:
        # The wish first: what waits for the consumer must not be asked for again.
        self._wish = msgspec.structs.replace(self._wish, after=position, log=log)
        while len(self._received) >= WAITING_MESSAGES and not self._over:
            self._room.clear()
            await self._room.wait()
        if not self._over:
            self._received.append(_Received(deque(items), position, log))
            self._filled.set()

    async def _next(self) -> "_Received":
        while not self._received:
            if self._closed:
                raise StopAsyncIteration
            if self._failure is not None:
                raise self._failure
            self._filled.clear()
            await self._filled.wait()
        self._room.set()
        return self._received.popleft()

    @property
    def _over(self) -> bool:
        return self._closed or self._failure is not None

    def _wake(self) -> None:
        self._filled.set()
        self._room.set()


def wish(wanted: Filter, after: int | None, log: str | None, *, snapshot: bool, conflate: bool) -> Subscribe:
    """Return a wish. Raises InvalidInput if the filter is, or ValueError for `after` with a snapshot."""
    wanted.check()
    if snapshot and after is not None:
        raise ValueError("a snapshot starts over: leave `after` out")
    return Subscribe(id="wish", filter=wanted, after=after, log=log, snapshot=snapshot, conflate=conflate)

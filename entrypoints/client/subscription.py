"""A client's subscription: its wish, and the positions received and handed to the consumer."""

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
"""How many messages (about 256 KiB each) wait for the consumer before reading pauses."""


class SnapshotPage(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A page of the alarm list. `first`: forget the pages before it; `done`: it is the last.

    A later event at or below the `position` of its alarm's row is already in that row.
    """

    alarms: Sequence[Alarm]
    first: bool
    done: bool


class StartOver(msgspec.Struct, frozen=True, gc=False):
    """Everything received is void. A subscription with a snapshot gets a new one, others go on from now."""

    reason: ResetReason


Item = EventMessage | SnapshotPage | StartOver
Told = Subscribed | SnapshotMessage | EventsMessage | PositionMessage | ResetMessage | ErrorMessage


@dataclass(slots=True)
class _Received:
    """The items of one message, and the position and log up to which everything is received with it."""

    items: deque[Item]
    position: int | None
    log: str | None


class ClientSubscription:
    """An async iterator of items, for one consumer: each event once, positions strictly increasing.

    A slow consumer holds back the whole connection (TCP tells the server), so that nothing piles up; a
    consumer that stops early must call `aclose`.
    """

    def __init__(self, wish: Subscribe, end: Callable[["ClientSubscription"], None]) -> None:
        # `after` and `log` of the wish follow the received messages.
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
        """The consumer has everything up to here: `after` of a later subscription. None: unknown."""
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
        """End this subscription; the connection's others go on."""
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
        """Return the request to send to the server, under this id."""
        self._first = True
        snapshot = self._wish.snapshot and self._wish.after is None
        return msgspec.structs.replace(self._wish, id=name, snapshot=snapshot)

    def fail(self, error: TocsinError) -> None:
        """Give the consumer what was received, then the error."""
        self._failure = error
        self._wake()

    async def take(self, message: Told, log: str | None) -> None:
        """Take a message of the server; wait while the consumer is behind."""
        match message:
            case Subscribed():
                self.failures = 0
                if not self._wish.snapshot or self._wish.after is not None:
                    await self._advance([], message.position, log)
            case SnapshotMessage():
                page = SnapshotPage(alarms=message.alarms, first=self._first, done=message.done)
                self._first = False
                await self._advance([page], message.position if message.done else None, log)
            case EventsMessage():
                known = -1 if self._wish.after is None else self._wish.after
                news: list[Item] = [event for event in message.events if event.position > known]
                await self._advance(news, max(message.position, known), log)
            case PositionMessage():
                await self._advance([], max(message.position, self._wish.after or 0), log)
            case ResetMessage():
                await self._advance([StartOver(message.reason)], None, None)
            case ErrorMessage():
                self.fail(SubscriptionRefused(f"{message.code}: {message.detail}"))

    async def _advance(self, items: Iterable[Item], position: int | None, log: str | None) -> None:
        # The wish first: a reconnection must not request again what waits for the consumer.
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
    """Return a wish. Raises InvalidInput for an invalid filter, ValueError for `after` with a snapshot."""
    wanted.check()
    if snapshot and after is not None:
        raise ValueError("a snapshot starts over: leave `after` out")
    return Subscribe(id="wish", filter=wanted, after=after, log=log, snapshot=snapshot, conflate=conflate)

"""One webhook's endpoint: its rows in their order, one call after the other or some beside each other."""

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    stop_never,
    wait_random_exponential,
)

from core.application.webhooks.router import Bell
from core.errors import Unavailable
from core.outbox.lanes import Lanes, ReadLane
from core.outbox.ports import PendingRows, WebhookDirectory, WebhookMessage, WebhookSender
from core.outbox.row import Row, Settlement
from core.outbox.schedule import Answer, settle
from core.outbox.webhook import Webhook

logger = logging.getLogger("tocsin.relay")

SLEEP_SECONDS = 60.0
"""The longest sleep: the clock may have been set, or the machine suspended, meanwhile."""
RETRY_SECONDS = 5.0
SETTLED_AT_ONCE = 500
"""How many rows one write to the outbox settles."""


class Time(Protocol):
    """The time, UTC, and waiting for it."""

    def now(self) -> datetime:
        """Return it."""
        ...

    async def sleep_until(self, moment: datetime | None) -> None:
        """Return when it has come, or earlier, or, for None, some time."""
        ...


class WallTime:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the time, UTC."""
        return datetime.now(UTC)

    async def sleep_until(self, moment: datetime | None) -> None:
        """Return when it has come, or after SLEEP_SECONDS."""
        left = SLEEP_SECONDS if moment is None else (moment - self.now()).total_seconds()
        await asyncio.sleep(min(SLEEP_SECONDS, max(0.0, left)))


@dataclass(frozen=True, slots=True)
class RelayParts:
    """What the relay works with; `chance` draws a number in [0, 1)."""

    webhooks: WebhookDirectory
    outbox: PendingRows
    sender: WebhookSender
    bell: Bell
    time: Time
    chance: Callable[[], float] = random.random


Count = Callable[[str, Answer, Settlement], None]


class Endpoint:
    """Sends one webhook's rows; whatever happens to it holds up no other."""

    def __init__(self, parts: RelayParts, webhook: Webhook, settler: "Settler", count: Count) -> None:
        self._parts = parts
        self._webhook = webhook
        self._settler = settler
        self._count = count
        self._lanes = Lanes()
        self._rescan = False
        self._poked = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def begin(self, tasks: asyncio.TaskGroup) -> None:
        """Start sending."""
        self._task = tasks.create_task(self._run())

    def end(self) -> None:
        """Break off: what is under way may be sent again when the webhook is enabled."""
        if self._task is not None:
            self._task.cancel()

    def change(self, webhook: Webhook) -> None:
        """Take note of the webhook as it is now."""
        if webhook.rescans != self._webhook.rescans:
            self._rescan = True
            self._poked.set()
        self._webhook = webhook

    def poke(self) -> None:
        """Take note that there may be new rows."""
        self._lanes.stir()
        self._poked.set()

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as calls:
            while True:
                self._poked.clear()
                if self._rescan:
                    self._rescan = False
                    self._lanes.rescan()
                self._lanes.wake(self._parts.time.now())
                await self._read()
                while (row := self._lanes.take()) is not None:
                    calls.create_task(self._send(row))
                await self._wait()

    async def _read(self) -> None:
        """Read until there is enough to send."""
        outbox, name = self._parts.outbox, self._webhook.id
        while (wanted := self._lanes.wanted()) is not None:
            if isinstance(wanted, ReadLane):
                rows = await outbox.lane(name, wanted.alarm_id, wanted.limit)
                self._lanes.lane_read(wanted.alarm_id, rows, self._parts.time.now(), wanted.limit)
            else:
                rows = await outbox.pending(name, wanted.after, wanted.limit)
                self._lanes.scanned(rows, self._parts.time.now(), wanted.limit)

    async def _wait(self) -> None:
        """Wait for a call to end, a new row, or the next try that is due."""
        earliest = self._lanes.earliest()
        if earliest is None:
            await self._poked.wait()
            return
        sleeping = asyncio.ensure_future(self._parts.time.sleep_until(earliest))
        poked = asyncio.ensure_future(self._poked.wait())
        try:
            await asyncio.wait({sleeping, poked}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            poked.cancel()
            await asyncio.gather(sleeping, poked, return_exceptions=True)

    async def _send(self, row: Row) -> None:
        parts, message = self._parts, WebhookMessage(row.event_id, row.body, row.trace)
        answer = await parts.sender.send(self._webhook, message, parts.time.now())
        settlement = settle(row, answer, parts.time.now(), parts.chance())
        await self._settler.settle(settlement)
        self._count(row.webhook, answer, settlement)
        if settlement.disables:
            # Recorded first: this endpoint ends as soon as its webhook is disabled.
            await self._disable(answer)
        self._lanes.settled(settlement.row, parts.time.now())
        self._poked.set()

    async def _disable(self, answer: Answer) -> None:
        logger.warning("webhook %s is disabled: its receiver answered 410 (Gone)", self._webhook.id)
        changes = {"enabled": False, "disabled_reason": answer.reason}
        await self._parts.webhooks.change(self._webhook.tenant, self._webhook.id, changes)


class Settler:
    """Records what became of calls: what ended while the last write was under way goes with the next one."""

    def __init__(self, outbox: PendingRows) -> None:
        self._outbox = outbox
        # Bounded by the calls that can be under way: each waits for its own.
        self._waiting: list[tuple[Settlement, asyncio.Future[None]]] = []
        self._struck = asyncio.Event()

    async def settle(self, settlement: Settlement) -> None:
        """Return once it is recorded."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((settlement, done))
        self._struck.set()
        await done

    async def run(self) -> None:
        """Record for ever, through every outage: a call that was made is not to be made again for it."""
        while True:
            await self._struck.wait()
            self._struck.clear()
            while self._waiting:
                batch = self._waiting[:SETTLED_AT_ONCE]
                del self._waiting[:SETTLED_AT_ONCE]
                await self._record([settlement for settlement, _ in batch])
                for _, done in batch:
                    if not done.done():
                        done.set_result(None)

    async def _record(self, settlements: Sequence[Settlement]) -> None:
        attempts = AsyncRetrying(
            # It ends with the lease.
            stop=stop_never,
            wait=wait_random_exponential(multiplier=0.05, max=RETRY_SECONDS),
            retry=retry_if_exception_type(Unavailable),
            before_sleep=_say,
        )
        async for attempt in attempts:
            with attempt:
                await self._outbox.settle(settlements)


def _say(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome is not None else None
    logger.warning("recording what was sent again: %s", error)

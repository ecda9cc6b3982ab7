"""One webhook's endpoint: its rows in their order, one call after the other or some beside each other."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    stop_never,
    wait_random_exponential,
)

from core.application.feed import Bell
from core.application.waiting import first_of
from core.errors import Unavailable
from core.host import Chance, Clock
from core.outbox.lanes import Lanes, ReadLane
from core.outbox.ports import PendingRows, WebhookDirectory, WebhookMessage, WebhookSender
from core.outbox.row import Row, Settlement
from core.outbox.schedule import Answer, settle
from core.outbox.webhook import Webhook

logger = logging.getLogger("tocsin.relay")

FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 5.0
"""Of the pauses between tries to record what became of calls."""
SETTLED_AT_ONCE = 500
"""How many rows one write to the outbox settles."""


@dataclass(frozen=True, slots=True)
class RelayParts:
    """What the relay works with."""

    webhooks: WebhookDirectory
    outbox: PendingRows
    sender: WebhookSender
    bell: Bell
    clock: Clock
    chance: Chance


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
                self._lanes.wake(self._parts.clock.now())
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
                self._lanes.lane_read(wanted.alarm_id, rows, self._parts.clock.now(), wanted.limit)
            else:
                rows = await outbox.pending(name, wanted.after, wanted.limit)
                self._lanes.scanned(rows, self._parts.clock.now(), wanted.limit)

    async def _wait(self) -> None:
        """Wait for a call to end, a new row, or the next try that is due."""
        earliest = self._lanes.earliest()
        if earliest is None:
            await self._poked.wait()
            return
        await first_of(self._parts.clock.sleep_until(earliest), self._poked.wait())

    async def _send(self, row: Row) -> None:
        parts, message = self._parts, WebhookMessage(row.event_id, row.body, row.trace)
        answer = await parts.sender.send(self._webhook, message, parts.clock.now())
        settlement = settle(row, answer, parts.clock.now(), parts.chance())
        await self._settler.settle(settlement)
        self._count(row.webhook, answer, settlement)
        if settlement.disables:
            # Recorded first: this endpoint ends as soon as its webhook is disabled.
            await self._disable(answer)
        self._lanes.settled(settlement.row, parts.clock.now())
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
            wait=wait_random_exponential(multiplier=FIRST_PAUSE_SECONDS, max=LONGEST_PAUSE_SECONDS),
            retry=retry_if_exception_type(Unavailable),
            before_sleep=_say,
        )
        async for attempt in attempts:
            with attempt:
                await self._outbox.settle(settlements)


def _say(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome is not None else None
    logger.warning("recording what was sent again: %s", error)

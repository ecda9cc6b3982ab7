"""Sends one webhook's rows: in order for each alarm, several alarms at once."""

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

from core.application.bells import Bell
from core.application.waiting import first_of
from core.errors import Unavailable
from core.host import Chance, Clock
from core.outbox.lanes import Lanes, ReadLane
from core.outbox.ports import PendingRows, WebhookDirectory, WebhookMessage, WebhookSender
from core.outbox.row import Row, Settlement
from core.outbox.schedule import CallResult, settle
from core.outbox.webhook import Webhook

logger = logging.getLogger("tocsin.relay")

FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 5.0
"""The longest pause between tries to record the results of calls."""
SETTLED_AT_ONCE = 500
"""How many rows one write to the outbox settles."""


@dataclass(frozen=True, slots=True)
class RelayParts:
    """The ports and functions that the relay works with."""

    webhooks: WebhookDirectory
    outbox: PendingRows
    sender: WebhookSender
    bell: Bell
    clock: Clock
    chance: Chance


Count = Callable[[str, CallResult, Settlement], None]


class Endpoint:
    """Sends one webhook's rows; its failures hold up no other webhook."""

    def __init__(self, parts: RelayParts, webhook: Webhook, settler: "Settler", count: Count) -> None:
        self._parts = parts
        self._webhook = webhook
        self._settler = settler
        self._count = count
        self._lanes = Lanes()
        self._rescan = False
        # The receiver answered 410: nothing goes out until the webhook was loaded again.
        self._gone = False
        self._poked = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def begin(self, tasks: asyncio.TaskGroup) -> None:
        """Start sending."""
        self._task = tasks.create_task(self._run())

    def end(self) -> None:
        """Stop sending: a call under way may be repeated when the webhook is enabled again."""
        if self._task is not None:
            self._task.cancel()

    def change(self, webhook: Webhook) -> None:
        """Take the webhook's present settings; a receiver that answered 410 is called again."""
        rescans = webhook.rescans != self._webhook.rescans
        if rescans or self._gone:
            self._rescan |= rescans
            self._gone = False
            self._poked.set()
        self._webhook = webhook

    def poke(self) -> None:
        """Look for new rows."""
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
                while not self._gone and (row := self._lanes.take()) is not None:
                    calls.create_task(self._send(row))
                await self._wait()

    async def _read(self) -> None:
        """Read rows until there are enough to send."""
        outbox, name = self._parts.outbox, self._webhook.id
        while (wanted := self._lanes.wanted()) is not None:
            if isinstance(wanted, ReadLane):
                rows = await outbox.lane(name, wanted.alarm_id, wanted.limit)
                self._lanes.lane_read(wanted.alarm_id, rows, self._parts.clock.now(), wanted.limit)
            else:
                rows = await outbox.pending(name, wanted.after, wanted.limit)
                self._lanes.scanned(rows, self._parts.clock.now(), wanted.limit)

    async def _wait(self) -> None:
        """Wait until a call ends, a row arrives or a try is due."""
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
            self._gone = True
            # Record first: disabling the webhook ends this endpoint.
            await self._disable(answer)
        self._lanes.settled(settlement.row, parts.clock.now())
        self._poked.set()

    async def _disable(self, answer: CallResult) -> None:
        logger.warning("webhook %s is disabled: its receiver answered 410 (Gone)", self._webhook.id)
        changes = {"enabled": False, "disabled_reason": answer.reason}
        await self._parts.webhooks.change(self._webhook.tenant, self._webhook.id, changes)


class Settler:
    """Records the results of calls; results that come during a write go into the next one."""

    def __init__(self, outbox: PendingRows) -> None:
        self._outbox = outbox
        # Bounded by the calls under way: each waits until its result is recorded.
        self._waiting: list[tuple[Settlement, asyncio.Future[None]]] = []
        self._added = asyncio.Event()

    async def settle(self, settlement: Settlement) -> None:
        """Return once the settlement is recorded."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((settlement, done))
        self._added.set()
        await done

    async def run(self) -> None:
        """Record for ever, through every outage: an outage must not repeat a call that was made."""
        while True:
            await self._added.wait()
            self._added.clear()
            while self._waiting:
                batch = self._waiting[:SETTLED_AT_ONCE]
                del self._waiting[:SETTLED_AT_ONCE]
                await self._record([settlement for settlement, _ in batch])
                for _, done in batch:
                    if not done.done():
                        done.set_result(None)

    async def _record(self, settlements: Sequence[Settlement]) -> None:
        attempts = AsyncRetrying(
            # Losing the lease cancels it.
            stop=stop_never,
            wait=wait_random_exponential(multiplier=FIRST_PAUSE_SECONDS, max=LONGEST_PAUSE_SECONDS),
            retry=retry_if_exception_type(Unavailable),
            before_sleep=_log_retry,
        )
        async for attempt in attempts:
            with attempt:
                await self._outbox.settle(settlements)


def _log_retry(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome is not None else None
    logger.warning("recording results of calls again: %s", error)

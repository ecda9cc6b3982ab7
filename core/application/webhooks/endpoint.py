"""Sends one webhook's rows: in order for each alarm, several alarms at once."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import msgspec

from core.application.bells import Bell
from core.application.waiting import first_of
from core.application.webhooks.settler import Settler
from core.backoff import backoff
from core.errors import Unavailable
from core.host import Chance, Clock
from core.outbox.lanes import Lanes, ReadLane
from core.outbox.ports import PENDING_DAYS, PendingRows, WebhookDirectory, WebhookMessage, WebhookSender
from core.outbox.row import Row, Settlement
from core.outbox.schedule import CallResult, settle
from core.outbox.webhook import Webhook

logger = logging.getLogger("tocsin.relay")

FIRST_RESTART_SECONDS = 0.5
LONGEST_RESTART_SECONDS = 60.0
"""The longest pause before a webhook's sending is begun again after an unexpected error."""
UNRECORDED_SECONDS = 300.0
"""After how long a row is sent again if the result of its call cannot be recorded."""


@dataclass(frozen=True, slots=True)
class RelayParts:
    """The ports and functions that the relay works with, and for how long a row may be pending."""

    webhooks: WebhookDirectory
    outbox: PendingRows
    sender: WebhookSender
    bell: Bell
    clock: Clock
    chance: Chance
    pending_for: timedelta = timedelta(days=PENDING_DAYS)


Count = Callable[[str, CallResult, Settlement], None]


class Endpoint:
    """Sends one webhook's rows; its failures hold up no other webhook."""

    def __init__(self, parts: RelayParts, webhook: Webhook, settler: Settler, count: Count) -> None:
        self._parts = parts
        self._webhook = webhook
        self._settler = settler
        self._count = count
        self._lanes = Lanes()
        self._rescan = False
        # The receiver answered 410: nothing goes out until a document that is no older says otherwise.
        self._gone = False
        self._poked = asyncio.Event()
        self._failures = 0
        self._task: asyncio.Task[None] | None = None

    def begin(self, tasks: asyncio.TaskGroup) -> None:
        """Start sending."""
        self._task = tasks.create_task(self._run())

    def end(self) -> None:
        """Stop sending: a call under way may be repeated when the webhook is enabled again."""
        if self._task is not None:
            self._task.cancel()

    def change(self, webhook: Webhook) -> None:
        """Take the webhook's settings, unless they were read before a 410 of its receiver was recorded."""
        if self._gone and webhook.gone <= self._webhook.gone:
            return
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
        """Send for ever; begin again after an unexpected error, but leave outages to the relay."""
        while True:
            try:
                await self._send_rows()
            except ExceptionGroup as group:
                outage = group.subgroup(Unavailable)
                if outage is not None:
                    raise outage from None
                logger.exception("webhook %s: sending begins again after an error", self._webhook.id)
            self._failures += 1
            pause = FIRST_RESTART_SECONDS, LONGEST_RESTART_SECONDS
            await asyncio.sleep(backoff(self._failures, *pause, self._parts.chance()))
            self._lanes = Lanes()

    async def _send_rows(self) -> None:
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
        parts, answer = self._parts, await self._call(row)
        settlement = settle(row, answer, parts.clock.now(), parts.chance())
        if not await self._settler.settle(settlement):
            later = parts.clock.now() + timedelta(seconds=UNRECORDED_SECONDS)
            settlement = Settlement(msgspec.structs.replace(row, next_at=later))
        self._failures = 0
        self._count(row.webhook, answer, settlement)
        if settlement.disables:
            self._gone = True
            # Record first: disabling the webhook ends this endpoint.
            await self._disable(answer)
        self._lanes.settled(settlement.row, parts.clock.now())
        self._poked.set()

    async def _call(self, row: Row) -> CallResult:
        """Call the receiver; whatever the row or the answer makes go wrong is a failed try of this row."""
        message = WebhookMessage(row.event_id, row.body, row.trace)
        try:
            return await self._parts.sender.send(self._webhook, message, self._parts.clock.now())
        except Exception as error:
            logger.exception("webhook %s: the call for row %s went wrong", self._webhook.id, row.id)
            return CallResult(error=f"the call went wrong: {type(error).__name__}")

    async def _disable(self, answer: CallResult) -> None:
        logger.warning("webhook %s is disabled: its receiver answered 410 (Gone)", self._webhook.id)
        webhook = self._webhook
        changes = {"enabled": False, "disabled_reason": answer.reason, "gone": webhook.gone + 1}
        await self._parts.webhooks.change(webhook.tenant, webhook.id, changes)

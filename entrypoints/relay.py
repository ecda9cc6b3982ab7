"""The relay: sends the rows of the outbox to their webhooks (ADR 0022)."""

import asyncio
import logging
import random
from collections.abc import Callable, Iterable, Sequence
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

from core.backoff import backoff
from core.errors import Unavailable
from core.outbox.formats import CONTENT_TYPES, sealed
from core.outbox.lanes import Lanes, ReadLane
from core.outbox.ports import Caller, Outbox, Webhooks
from core.outbox.row import Row, Settlement
from core.outbox.schedule import Answer, settle
from core.outbox.signing import signature
from core.outbox.webhook import Webhook
from core.ports import Lease, Leases
from entrypoints.leader import LeaderTask
from entrypoints.router import Bell

logger = logging.getLogger("tocsin.relay")

RELAY_LEASE = "relay"
SLEEP_SECONDS = 60.0
"""The longest sleep: the clock may have been set, or the machine suspended, meanwhile."""
RETRY_SECONDS = 5.0
SETTLED_AT_ONCE = 500
"""How many rows one write to the outbox settles."""
LATENCY_SECONDS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
"""The upper bounds of the buckets in which calls are counted; a last one has the rest."""
COUNTED = 1_000
"""Of how many webhooks counts are kept."""


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


@dataclass(slots=True)
class Counts:
    """What a webhook's calls came to since the process started; `seconds` is the sum of what they took.

    `latency` counts them by LATENCY_SECONDS.
    """

    attempts: int = 0
    delivered: int = 0
    dead: int = 0
    seconds: float = 0.0
    latency: tuple[int, ...] = (0,) * (len(LATENCY_SECONDS) + 1)

    def count(self, answer: Answer, settlement: Settlement) -> None:
        """Count a call."""
        self.attempts += 1
        self.delivered += settlement.row.state == "delivered"
        self.dead += settlement.row.state == "dead"
        self.seconds += answer.seconds
        bucket = sum(answer.seconds > bound for bound in LATENCY_SECONDS)
        self.latency = tuple(n + (index == bucket) for index, n in enumerate(self.latency))


@dataclass(frozen=True, slots=True)
class RelayParts:
    """What the relay works with; `chance` draws a number in [0, 1)."""

    webhooks: Webhooks
    outbox: Outbox
    caller: Caller
    bell: Bell
    time: Time
    chance: Callable[[], float] = random.random


class Relay:
    """Sends what is pending, in one process at a time: at least once, in order per alarm and webhook.

    It is woken by the outbox and by the earliest time at which a row is due. What became of a call is
    recorded before the next row of that alarm goes out; until then, whoever leads next makes the call again.
    """

    def __init__(self, parts: RelayParts, leases: Leases, holder: str) -> None:
        self._parts = parts
        self._task = LeaderTask(leases, RELAY_LEASE, holder, self.work)
        self.counts: dict[str, Counts] = {}
        """By webhook, what its calls came to."""

    @property
    def status(self) -> str:
        """`leading` or `standby`."""
        return self._task.status

    async def run(self) -> None:
        """Relay for ever; cancelling it lets go of the lease."""
        await self._task.run()

    def log_replaced(self) -> None:
        """Look through the whole outbox again: the feed has seen another log."""
        self._task.restart()

    async def work(self, _: Lease) -> None:
        """Relay until the lease is lost, through every outage."""
        failures = 0
        while True:
            relaying = _Relaying(self._parts, self._count)
            try:
                await relaying.run()
            except* Unavailable as group:
                failures = 1 if relaying.looked else failures + 1
                if failures > 1:
                    logger.warning("looking through the outbox again: %s", group.exceptions[0])
            await asyncio.sleep(backoff(failures, 0.05, RETRY_SECONDS, random.random()))

    def _count(self, webhook: str, answer: Answer, settlement: Settlement) -> None:
        counts = self.counts.get(webhook)
        if counts is None:
            if len(self.counts) >= COUNTED:
                self.counts.pop(next(iter(self.counts)))
            counts = self.counts[webhook] = Counts()
        counts.count(answer, settlement)


Count = Callable[[str, Answer, Settlement], None]


class _Relaying:
    """One go through the outbox, until MongoDB cannot be reached."""

    def __init__(self, parts: RelayParts, count: Count) -> None:
        self._parts = parts
        self._count = count
        self._settler = _Settler(parts.outbox)
        self._endpoints: dict[str, _Endpoint] = {}
        self.looked = False
        """Whether it has got so far as to know what is pending."""

    async def run(self) -> None:
        """Relay. Raises an ExceptionGroup of Unavailable."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._settler.run())
            tasks.create_task(self._coordinate(tasks))

    async def _coordinate(self, tasks: asyncio.TaskGroup) -> None:
        bell = self._parts.bell
        # Listen before reading: a change in between would be missed.
        changed, more = bell("webhooks"), bell("outbox")
        await self._look(tasks)
        while True:
            await self._poke(tasks)
            self.looked = True
            await _either(changed, more)
            if changed.is_set():
                changed = bell("webhooks")
                await self._look(tasks)
            more = bell("outbox")

    async def _look(self, tasks: asyncio.TaskGroup) -> None:
        """Take note of the webhooks as they are now."""
        found = {webhook.id: webhook for webhook in await self._parts.webhooks.all()}
        for name in [name for name in self._endpoints if name not in found or not found[name].enabled]:
            self._endpoints.pop(name).end()
        for name, webhook in found.items():
            if name in self._endpoints:
                self._endpoints[name].change(webhook)
            elif webhook.enabled:
                endpoint = _Endpoint(self._parts, webhook, self._settler, self._count)
                endpoint.begin(tasks)
                self._endpoints[name] = endpoint

    async def _poke(self, tasks: asyncio.TaskGroup) -> None:
        """Tell the endpoints that have something to send; remove what is left of deleted webhooks."""
        waiting = await self._parts.outbox.waiting()
        if not waiting <= self._endpoints.keys():
            await self._look(tasks)
            await self._remove_orphans(waiting - self._endpoints.keys())
        for name in waiting & self._endpoints.keys():
            self._endpoints[name].poke()

    async def _remove_orphans(self, names: Iterable[str]) -> None:
        """Remove the rows of webhooks that are not there: a row is never there before its webhook."""
        known = {webhook.id for webhook in await self._parts.webhooks.all()}
        for name in sorted(set(names) - known):
            await self._parts.outbox.remove(name)


class _Endpoint:
    """Sends one webhook's rows; whatever happens to it holds up no other."""

    def __init__(self, parts: RelayParts, webhook: Webhook, settler: "_Settler", count: Count) -> None:
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
        parts, message = self._parts, Message(row.event_id, row.body, row.trace)
        answer = await deliver(parts.caller, self._webhook, message, parts.time.now())
        settlement = settle(row, answer, parts.time.now(), parts.chance())
        await self._settler.settle(settlement)
        self._count(row.webhook, answer, settlement)
        if settlement.disables:
            # Recorded first: this endpoint ends as soon as its webhook is disabled.
            await self._disable(answer)
        self._lanes.settled(settlement.row, parts.time.now())
        self._poked.set()

    async def _disable(self, answer: Answer) -> None:
        logger.warning("webhook %s asks for no more: disabled", self._webhook.id)
        changes = {"enabled": False, "disabled_reason": answer.reason}
        await self._parts.webhooks.change(self._webhook.tenant, self._webhook.id, changes)


class _Settler:
    """Records what became of calls: what ended while the last write was under way goes with the next one."""

    def __init__(self, outbox: Outbox) -> None:
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


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent, the same on every try; `trace` is a W3C traceparent."""

    id: str
    body: bytes
    trace: str | None = None


async def deliver(caller: Caller, webhook: Webhook, message: Message, now: datetime) -> Answer:
    """Make one call: the message's id stays the same on every try, its timestamp is of this one."""
    sent = sealed(webhook, message.body)
    timestamp = int(now.timestamp())
    headers = {
        "content-type": CONTENT_TYPES[webhook.format],
        "webhook-id": message.id,
        "webhook-timestamp": str(timestamp),
    }
    if webhook.secrets:
        headers["webhook-signature"] = signature(webhook.secrets, message.id, timestamp, sent)
    if message.trace is not None:
        headers["traceparent"] = message.trace
    return await caller.call(webhook.url, headers, sent)


async def _either(*bells: asyncio.Event) -> None:
    """Wait until one of the bells has rung."""
    waiting = [asyncio.ensure_future(bell.wait()) for bell in bells]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waiting:
            each.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

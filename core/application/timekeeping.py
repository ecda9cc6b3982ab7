"""Keeps the time by MongoDB's clock: the machine's own may be wrong by years, and what is recorded stays."""

import asyncio
from contextlib import suppress
from datetime import datetime, timedelta

from core.application.ports import StoreClock
from core.application.waiting import first_of, loop_time
from core.errors import Unavailable
from core.host import Clock

AHEAD_SECONDS = 5.0
"""How far the machine's clock may be ahead of MongoDB's; beyond, the process must not append."""
RENEW_SECONDS = 30.0
"""How often MongoDB's clock is read."""
PAUSE_SECONDS = 1.0
"""The shortest time between two readings, while the machine's clock is ahead."""
ROUND_TRIP_SECONDS = 1.0
"""The longest round trip of a reading that replaces another; half of it is the reading's error at most."""


class Timekeeper:
    """MongoDB's clock (a Clock, see core.host), carried on by the event loop's since it was last read.

    `now` may be asked once `start` has returned; `run` reads the clock anew, for ever.
    """

    def __init__(self, store: StoreClock, machine: Clock) -> None:
        self._store = store
        self._machine = machine
        # MongoDB's time when the event loop's was 0; None: not read yet.
        self._zero: datetime | None = None
        self._doubted = asyncio.Event()

    async def start(self) -> None:
        """Read MongoDB's clock. Raises Unavailable."""
        sent = loop_time()
        time = await self._store.now()
        received = loop_time()
        if self._zero is None or received - sent <= ROUND_TRIP_SECONDS:
            self._zero = time - timedelta(seconds=(sent + received) / 2)

    def now(self) -> datetime:
        """Return MongoDB's time, UTC."""
        assert self._zero is not None, "the clock was not started"  # noqa: S101 (a fault of the composition)
        return self._zero + timedelta(seconds=loop_time())

    async def sleep_until(self, moment: datetime | None) -> None:
        """Wait until MongoDB's clock shows the moment; may return early."""
        shift = self._machine.now() - self.now()
        await self._machine.sleep_until(None if moment is None else moment + shift)

    def fault(self) -> str | None:
        """Say what is wrong with the machine's clock; None: it is not too far ahead of MongoDB's."""
        ahead = (self._machine.now() - self.now()).total_seconds()
        if ahead <= AHEAD_SECONDS:
            return None
        # The machine may have been suspended, which stops the event loop's clock: read MongoDB's at once.
        self._doubted.set()
        return f"this machine's clock is {ahead:.0f} s ahead of MongoDB's"

    def check(self) -> None:
        """Raise Unavailable if this process must not append."""
        fault = self.fault()
        if fault is not None:
            raise Unavailable(f"{fault}, so this process records nothing")

    async def run(self) -> None:
        """Read MongoDB's clock now and then, and at once when the machine's is found ahead; never return."""
        while True:
            await first_of(asyncio.sleep(RENEW_SECONDS), self._doubted.wait())
            with suppress(Unavailable):
                await self.start()
            await asyncio.sleep(PAUSE_SECONDS)
            self._doubted.clear()

"""Records the results of calls to webhooks, many in one write."""

import asyncio
import logging
from collections.abc import Sequence

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    stop_never,
    wait_random_exponential,
)

from core.errors import Unavailable
from core.outbox.ports import PendingRows
from core.outbox.row import Settlement

logger = logging.getLogger("tocsin.relay")

FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 5.0
"""The longest pause between tries to record the results of calls."""
SETTLED_AT_ONCE = 500
"""How many rows one write to the outbox settles."""
LOGGED_ROWS = 10
"""How many of the rows whose results cannot be recorded the log names."""


class Settler:
    """Records the results of calls; results that come during a write go into the next one."""

    def __init__(self, outbox: PendingRows) -> None:
        self._outbox = outbox
        # Bounded by the calls under way: each waits until its result is recorded.
        self._waiting: list[tuple[Settlement, asyncio.Future[bool]]] = []
        self._added = asyncio.Event()

    async def settle(self, settlement: Settlement) -> bool:
        """Return once the settlement is recorded; False: it cannot be."""
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((settlement, done))
        self._added.set()
        return await done

    async def run(self) -> None:
        """Record for ever, through every outage: an outage must not repeat a call that was made."""
        while True:
            await self._added.wait()
            self._added.clear()
            while self._waiting:
                batch = self._waiting[:SETTLED_AT_ONCE]
                del self._waiting[:SETTLED_AT_ONCE]
                settlements = [settlement for settlement, _ in batch]
                recorded = await self._recorded(settlements)
                for settlement, done in batch:
                    if not done.done():
                        # One that no store takes must not hold up the others.
                        done.set_result(recorded or await self._recorded([settlement]))

    async def _recorded(self, settlements: Sequence[Settlement]) -> bool:
        """Record the settlements; return False, having logged why, if the store does not take them."""
        try:
            await self._record(settlements)
        except Exception:
            rows = ", ".join(settlement.row.id for settlement in settlements[:LOGGED_ROWS])
            logger.exception("the results of %d calls cannot be recorded: %s", len(settlements), rows)
            return False
        return True

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

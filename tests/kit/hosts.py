"""What parts have from the machine, in tests: ids in order, no jitter, a clock that can be set."""

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import count

from core.application.workers.leader import Candidate
from core.coordination.ports import Leases
from core.host import Host
from entrypoints.process.host import MachineClock, MachineIds

SLEEP_SECONDS = 60.0


class LoopClock:
    """The event loop's clock, from a beginning on; `ahead` seconds further once it was set."""

    def __init__(self, beginning: datetime) -> None:
        self._beginning = beginning
        self.ahead = 0.0
        self.looks = 0
        """How often it was asked for the time."""

    def now(self) -> datetime:
        """The time, UTC."""
        self.looks += 1
        return self._beginning + timedelta(seconds=asyncio.get_running_loop().time() + self.ahead)

    async def sleep_until(self, moment: datetime | None) -> None:
        """Return when it has come by then, or after SLEEP_SECONDS."""
        left = SLEEP_SECONDS if moment is None else (moment - self.now()).total_seconds()
        await asyncio.sleep(min(SLEEP_SECONDS, max(0.0, left)))


class StandingClock(MachineClock):
    """The machine's clock, at a moment at which it stands still."""

    def __init__(self, moment: datetime) -> None:
        self._moment = moment

    def now(self) -> datetime:
        """The time, UTC."""
        return self._moment


class TickingClock(MachineClock):
    """A clock in which a second passes with every look at it."""

    def __init__(self, beginning: datetime) -> None:
        self._moment = beginning

    def now(self) -> datetime:
        """The time, UTC."""
        self._moment += timedelta(seconds=1)
        return self._moment


class MillisecondClock(MachineClock):
    """The machine's clock, but no two looks at it fall into one millisecond, the finest the log tells."""

    def __init__(self) -> None:
        self._last = datetime.min.replace(tzinfo=UTC)

    def now(self) -> datetime:
        """The time, UTC."""
        self._last = max(super().now(), self._last + timedelta(milliseconds=1))
        return self._last


class CountedIds:
    """Ids `id-1`, `id-2`, ..., and as many different secrets."""

    def __init__(self) -> None:
        self._numbers = count(1)

    def new(self) -> str:
        """The next id."""
        return f"id-{next(self._numbers)}"

    def secret(self) -> bytes:
        """The next secret: 32 bytes."""
        return next(self._numbers).to_bytes(32, "big")


HOST = Host(MachineClock(), MachineIds(), lambda: 0.5)
"""The machine's own clock and ids, without jitter."""


def candidate(leases: Leases, holder: str = "a") -> Candidate:
    """Who stands for leases, without jitter."""
    return Candidate(leases, holder, HOST.chance)

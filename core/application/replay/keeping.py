"""The leases of a replay, renewed by the work that goes on under them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from core.coordination.ports import Lease, Takeover
from core.errors import StartupRefused, Unavailable

REPLAY_SECONDS = 30.0
"""For how long a replay that was killed keeps others from starting."""
RENEW_SECONDS = 5.0
"""How often a replay renews that lease."""

Kept = Callable[[], Awaitable[None]]
"""Raises StartupRefused once the lease was lost."""


class Keeping:
    """Renews a lease whenever it is called, but not all the time."""

    def __init__(self, leases: Takeover, lease: Lease, seconds: float, every: float) -> None:
        self._leases = leases
        self._lease = lease
        self._seconds = seconds
        self._every = every
        self._due = _clock() + every

    async def __call__(self) -> None:
        """Renew it if it is time to. Raises StartupRefused: it was lost."""
        if _clock() < self._due:
            return
        self._due = _clock() + self._every
        if not await self._leases.renew(self._lease, self._seconds):
            raise StartupRefused(f"the lease {self._lease.name} was lost to another process")


@asynccontextmanager
async def kept_lease(leases: Takeover, name: str, holder: str) -> AsyncIterator[Kept]:
    """Hold the lease of a replay, as long as what is given is called. Raises StartupRefused: another does."""
    lease = await leases.acquire(name, holder, REPLAY_SECONDS)
    if lease is None:
        raise StartupRefused("another replay of the same is running")
    try:
        yield Keeping(leases, lease, REPLAY_SECONDS, RENEW_SECONDS)
    finally:
        await let_go(leases, lease)


async def let_go(leases: Takeover, lease: Lease) -> None:
    """Release the lease, if that is possible."""
    # It runs out by itself too; what the replay came to is more important to tell.
    with suppress(Unavailable):
        await leases.release(lease)


def _clock() -> float:
    return asyncio.get_running_loop().time()

"""Leases in memory, for tests."""

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from core.coordination.ports import Lease


@dataclass(slots=True)
class _Held:
    holder: str | None
    token: int
    until: float


class MemoryLeases:
    """The leases (see core.coordination.ports.Takeover); `clock` tells seconds and judges them all."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._held: dict[str, _Held] = {}

    async def acquire(self, name: str, holder: str, seconds: float) -> Lease | None:
        """Take the lease if it is free, has run out or is the holder's own; None if another holds it."""
        held = self._held.get(name)
        if held is not None and held.holder != holder and held.until > self._clock():
            return None
        return await self.take_over(name, holder, seconds)

    async def take_over(self, name: str, holder: str, seconds: float) -> Lease:
        """Take the lease, whoever holds it."""
        held = self._held.setdefault(name, _Held(None, 0, 0))
        if held.holder != holder:
            held.holder, held.token = holder, held.token + 1
        held.until = self._clock() + seconds
        return Lease(name, holder, held.token)

    async def renew(self, lease: Lease, seconds: float) -> bool:
        """Hold it longer; False: it was lost."""
        held = self._held[lease.name]
        if (held.holder, held.token) != (lease.holder, lease.token):
            return False
        held.until = self._clock() + seconds
        return True

    async def release(self, lease: Lease) -> None:
        """Let go at once, so that another process need not wait for its end."""
        held = self._held[lease.name]
        if (held.holder, held.token) == (lease.holder, lease.token):
            held.holder, held.until = None, self._clock()

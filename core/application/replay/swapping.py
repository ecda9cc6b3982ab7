"""Follows the log to its end and swaps a new read model in, in place of a projector that goes on writing."""

from collections.abc import Awaitable, Callable

from core.application.leases import LEASE_SECONDS
from core.application.replay.kept_lease import LeaseKeeper, Renew, let_go
from core.coordination.ports import Lease, Takeover
from core.errors import StartupRefused

NEAR_EVENTS = 2_000
"""How few events may be lacking for the next step to begin: it takes the rest."""
CATCH_UP_ROUNDS = 20
"""How often a replay catches up with a log that grows before it goes on all the same."""
SWAP_TRIES = 3
"""How often the swap is tried while others change the checkpoint."""

Swap = Callable[[Lease, Renew], Awaitable[bool]]
"""Swaps in what was built, under the projector's lease; returns False if others changed the checkpoint."""


async def swap_in(leases: Takeover, projector: str, holder: str, swap: Swap) -> None:
    """Take the lease from the projector and swap, again if others changed the checkpoint.

    Raises:
        StartupRefused: others kept changing the checkpoint, or took the lease.
        Unavailable.
    """
    for _ in range(SWAP_TRIES):
        lease = await leases.take_over(projector, f"{holder}:replay", LEASE_SECONDS)
        try:
            if await swap(lease, LeaseKeeper(leases, lease, LEASE_SECONDS, LEASE_SECONDS / 4)):
                return
        finally:
            await let_go(leases, lease)
    raise StartupRefused("others kept changing the checkpoint: is another replay running?")

"""The ports of coordination: leases, checkpoints, presence, turns."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import msgspec


class Checkpoint(msgspec.Struct, frozen=True, gc=False):
    """How far a projection is. `generation` counts the rebuilds that were swapped in."""

    position: int
    event_id: str
    generation: int


NO_CHECKPOINT = Checkpoint(0, "", 0)


class Lease(msgspec.Struct, frozen=True, gc=False):
    """The right to run a worker task: `token` grows with every holder, so that old holders are recognized."""

    name: str
    holder: str
    token: int


class Leases(Protocol):
    """One holder at a time for each name, judged by the server's clock."""

    async def acquire(self, name: str, holder: str, seconds: float) -> Lease | None:
        """Take the lease if it is free, expired or the holder's own; return None if another holds it."""
        ...

    async def renew(self, lease: Lease, seconds: float) -> bool:
        """Extend the lease; return False if it was lost."""
        ...

    async def release(self, lease: Lease) -> None:
        """Release the lease at once, so that no process need wait for its end."""
        ...


class Holder(msgspec.Struct, frozen=True, gc=False):
    """The process that holds a lease, and the address, `host:port`, at which it listens for the others."""

    name: str
    address: str


class AppenderLease(Protocol):
    """Where the holder of a lease can be reached."""

    async def announce(self, lease: Lease, address: str) -> None:
        """Record the holder's address; nothing happens if the lease was lost."""
        ...

    async def holder(self, name: str) -> Holder | None:
        """Return who holds the lease now and has announced an address, None if nobody."""
        ...


class CheckpointReader(Protocol):
    """Reads how far each projection is."""

    async def load(self, projection: str) -> Checkpoint:
        """Return the checkpoint, NO_CHECKPOINT if there is none."""
        ...


class Checkpoints(CheckpointReader, Protocol):
    """Moves checkpoints, on behalf of a lease's holder."""

    async def advance(self, projection: str, lease: Lease, to: Checkpoint) -> bool:
        """Move the checkpoint forward to `to`, or return False with nothing changed.

        The move is refused if the generation is another, a later holder of the lease has written, or the
        checkpoint is further already.
        """
        ...

    async def token(self, projection: str) -> int:
        """Return the highest lease token that has written the checkpoint, 0 if there is none."""
        ...

    async def fence(self, projection: str, lease: Lease) -> Checkpoint | None:
        """Refuse every earlier holder of the lease from now on, and return the checkpoint.

        Returns None, with nothing changed, if a later holder has written.
        """
        ...

    async def set_back(self, projection: str, lease: Lease, to: Checkpoint) -> bool:
        """Set the checkpoint to `to`, of the next generation, from any position; or return False.

        The change is refused if the stored generation is not the one before, or a later holder of the lease
        has written.
        """
        ...


class Turns(Protocol):
    """Lets one command at a time work on each alarm, within this process."""

    def turn(self, stream: str) -> AbstractAsyncContextManager[None]:
        """Wait for the stream's turn, in order of arrival, in bounded time. Raises Unavailable."""
        ...


class Presence(Protocol):
    """The processes that share the worker tasks, by the server's clock. Both methods raise Unavailable."""

    async def announce(self, process: str, leading: int, seconds: float) -> int | None:
        """Announce for `seconds` that the process is there and leads `leading` tasks.

        Returns the fewest tasks that another process leads, None if there is no other.
        """
        ...

    async def leave(self, process: str) -> None:
        """Withdraw the process's announcement."""
        ...


class SettingsBoard(Protocol):
    """The processes' settings as digests, by the server's clock. Both methods raise Unavailable."""

    async def post(
        self, process: str, digests: Mapping[str, str], seconds: float
    ) -> Sequence[Mapping[str, str]]:
        """Announce the digests by their settings' names for `seconds`; return those of the others."""
        ...

    async def withdraw(self, process: str) -> None:
        """Withdraw the process's announcement."""
        ...


class Takeover(Leases, Protocol):
    """Leases that can also be taken from a live holder, for work that cannot wait."""

    async def take_over(self, name: str, holder: str, seconds: float) -> Lease:
        """Take the lease, even from another holder, which learns of it at its next renewal."""
        ...

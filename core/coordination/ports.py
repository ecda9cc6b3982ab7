"""What processes agree on: leases, checkpoints, presence, turns."""

from contextlib import AbstractAsyncContextManager
from typing import Protocol

import msgspec


class Checkpoint(msgspec.Struct, frozen=True, gc=False):
    """How far a projection is. `generation` counts the rebuilds that were swapped in under it."""

    position: int
    event_id: str
    generation: int


NO_CHECKPOINT = Checkpoint(0, "", 0)


class Lease(msgspec.Struct, frozen=True, gc=False):
    """The right to run a worker task: `token` grows with every holder, so that an old one is known."""

    name: str
    holder: str
    token: int


class Leases(Protocol):
    """One holder at a time for each name, judged by the server's clock."""

    async def acquire(self, name: str, holder: str, seconds: float) -> Lease | None:
        """Take the lease if it is free, has run out or is the holder's own; None if another holds it."""
        ...

    async def renew(self, lease: Lease, seconds: float) -> bool:
        """Hold it longer; False: it was lost."""
        ...

    async def release(self, lease: Lease) -> None:
        """Let go at once, so that another process need not wait for its end."""
        ...


class CheckpointReader(Protocol):
    """How far each projection is."""

    async def load(self, projection: str) -> Checkpoint:
        """Return the checkpoint, NO_CHECKPOINT if there is none."""
        ...


class Checkpoints(CheckpointReader, Protocol):
    """How far each projection is, for those that move it."""

    async def advance(self, projection: str, lease: Lease, to: Checkpoint) -> bool:
        """Move forward to `to`, or return False with nothing changed.

        It is refused if the generation is another, a later holder of the lease has written, or the
        checkpoint is further already.
        """
        ...

    async def fence(self, projection: str, lease: Lease) -> Checkpoint | None:
        """Refuse every earlier holder of the lease from now on, and return the checkpoint as it then stands.

        None, and nothing changed, if a later holder has written.
        """
        ...

    async def set_back(self, projection: str, lease: Lease, to: Checkpoint) -> bool:
        """Set the checkpoint to `to`, of the next generation, wherever it was; or return False.

        It is refused if the generation is another than the one before, or a later holder of the lease has
        written.
        """
        ...


class Turns(Protocol):
    """One command at a time for each alarm within this process."""

    def turn(self, stream: str) -> AbstractAsyncContextManager[None]:
        """Wait for the stream's turn, in order of arrival; bounded, raises Unavailable."""
        ...


class Presence(Protocol):
    """The processes that share the worker tasks, judged by the server's clock. Both raise Unavailable."""

    async def announce(self, process: str, leading: int, seconds: float) -> int | None:
        """Say that the process is there for so long and leads so many tasks.

        Returns the fewest that another process said it leads; None: there is no other.
        """
        ...

    async def leave(self, process: str) -> None:
        """Say that the process is gone."""
        ...


class Takeover(Leases, Protocol):
    """Leases that can also be taken from a living holder, for work that cannot wait for its end."""

    async def take_over(self, name: str, holder: str, seconds: float) -> Lease:
        """Take the lease, whoever holds it; the one who did learns so when it renews."""
        ...

"""Checkpoints in memory, for tests."""

from dataclasses import dataclass

from core.coordination.ports import NO_CHECKPOINT, Checkpoint, Lease


@dataclass(slots=True)
class KeptCheckpoint:
    """A projection's checkpoint and the highest lease token that has written it.

    `shadow` names the only shadow that can be swapped in, `to` is the checkpoint decided on with its swap.
    """

    checkpoint: Checkpoint = NO_CHECKPOINT
    token: int = 0
    shadow: str | None = None
    to: Checkpoint | None = None


class MemoryCheckpoints:
    """The checkpoints (see core.coordination.ports.Checkpoints) in a dict."""

    def __init__(self) -> None:
        self.entries: dict[str, KeptCheckpoint] = {}

    async def load(self, projection: str) -> Checkpoint:
        """Return the checkpoint, NO_CHECKPOINT if there is none."""
        entry = self.entries.get(projection)
        return NO_CHECKPOINT if entry is None else entry.checkpoint

    async def advance(self, projection: str, lease: Lease, to: Checkpoint) -> bool:
        """Move forward to `to`; False, and nothing changed, if that is not allowed."""
        entry = self.entries.get(projection, KeptCheckpoint())
        if (
            entry.checkpoint.generation != to.generation
            or entry.token > lease.token
            or entry.checkpoint.position > to.position
            or entry.to is not None
        ):
            return False
        entry.checkpoint, entry.token = to, lease.token
        self.entries[projection] = entry
        return True

    async def fence(self, projection: str, lease: Lease) -> Checkpoint | None:
        """Refuse earlier holders of the lease, and return the checkpoint as it then stands."""
        entry = self.entries.setdefault(projection, KeptCheckpoint())
        if entry.token > lease.token or entry.to is not None:
            return None
        entry.token = lease.token
        return entry.checkpoint

    async def set_back(self, projection: str, lease: Lease, to: Checkpoint) -> bool:
        """Set the checkpoint to `to`, of the next generation; False, and nothing changed, if not allowed."""
        entry = self.entries.get(projection)
        if (
            entry is None
            or entry.checkpoint.generation + 1 != to.generation
            or entry.token > lease.token
            or entry.to is not None
        ):
            return False
        entry.checkpoint, entry.token = to, lease.token
        return True

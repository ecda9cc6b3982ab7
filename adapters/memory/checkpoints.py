"""Checkpoints in memory, for tests."""

from dataclasses import dataclass

from core.coordination.ports import NO_CHECKPOINT, Checkpoint, Lease


@dataclass(slots=True)
class KeptCheckpoint:
    """A projection's checkpoint and the highest lease token that has written it.

    `shadow` names the only shadow that may be swapped in; `to`, once set, is the checkpoint its swap sets.
    """

    checkpoint: Checkpoint = NO_CHECKPOINT
    token: int = 0
    shadow: str | None = None
    to: Checkpoint | None = None


class MemoryCheckpoints:
    """The checkpoints (see core.coordination.ports.Checkpoints) in a dict."""

    def __init__(self) -> None:
        self.kept: dict[str, KeptCheckpoint] = {}

    async def load(self, projection: str) -> Checkpoint:
        """Return the checkpoint, NO_CHECKPOINT if there is none."""
        kept = self.kept.get(projection)
        return NO_CHECKPOINT if kept is None else kept.checkpoint

    async def token(self, projection: str) -> int:
        """Return the highest lease token that has written the checkpoint, 0 if there is none."""
        kept = self.kept.get(projection)
        return 0 if kept is None else kept.token

    async def advance(self, projection: str, lease: Lease, to: Checkpoint) -> bool:
        """Move forward to `to`; False, and nothing changed: not allowed."""
        kept = self.kept.get(projection, KeptCheckpoint())
        if (
            kept.checkpoint.generation != to.generation
            or kept.token > lease.token
            or kept.checkpoint.position > to.position
            or kept.to is not None
        ):
            return False
        kept.checkpoint, kept.token = to, lease.token
        self.kept[projection] = kept
        return True

    async def fence(self, projection: str, lease: Lease) -> Checkpoint | None:
        """Shut out earlier holders of the lease and return the checkpoint; None: not allowed."""
        kept = self.kept.setdefault(projection, KeptCheckpoint())
        if kept.token > lease.token or kept.to is not None:
            return None
        kept.token = lease.token
        return kept.checkpoint

    async def set_back(self, projection: str, lease: Lease, to: Checkpoint) -> bool:
        """Set the checkpoint to `to`, of the next generation; False, and nothing changed: not allowed."""
        kept = self.kept.get(projection)
        if (
            kept is None
            or kept.checkpoint.generation + 1 != to.generation
            or kept.token > lease.token
            or kept.to is not None
        ):
            return False
        kept.checkpoint, kept.token = to, lease.token
        return True

"""How far a projection is, for whoever has to read what it just wrote."""

import asyncio

from core.application.feed import Bell
from core.coordination.ports import Checkpoints

CHECKPOINTS = "checkpoints"
"""The collection in which a change is rung for."""


class ProjectedPosition:
    """The position that a projection has reached. `bell` rings when a checkpoint has moved."""

    def __init__(self, projection: str, checkpoints: Checkpoints, bell: Bell) -> None:
        self._projection = projection
        self._checkpoints = checkpoints
        self._bell = bell

    async def reaches(self, position: int, seconds: float) -> bool:
        """Wait, so long at most, until it has reached the position; tell whether it has. Unavailable."""
        try:
            async with asyncio.timeout(seconds):
                while True:
                    # Listen before reading: a move in between would be missed.
                    moved = self._bell(CHECKPOINTS)
                    if (await self._checkpoints.load(self._projection)).position >= position:
                        return True
                    await moved.wait()
        except TimeoutError:
            return False

"""Waits for a projection to reach a position, so that clients can read their own writes."""

import asyncio

from core.application.bells import Bell
from core.coordination.ports import Checkpoints

CHECKPOINTS = "checkpoints"
"""The collection whose changes ring the bell."""


class ProjectedPosition:
    """The position that a projection has reached. `bell` rings when a checkpoint moves."""

    def __init__(self, projection: str, checkpoints: Checkpoints, bell: Bell) -> None:
        self._projection = projection
        self._checkpoints = checkpoints
        self._bell = bell

    async def reaches(self, position: int, seconds: float) -> bool:
        """Wait at most `seconds` for the position; tell whether it was reached. Raises Unavailable."""
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

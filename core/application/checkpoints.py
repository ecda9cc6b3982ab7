"""Whether a checkpoint is of this log: one that was restored or replaced has another event there, or none."""

import asyncio

from core.backoff import backoff
from core.coordination.ports import Checkpoint
from core.host import Chance
from core.log.ports import LogPositions

MISSING_TRIES = 5
"""How often a missing event is looked for: a new primary's majority view may lag."""
SHORTEST_SECONDS = 0.1
LONGEST_SECONDS = 1.0


async def belongs(log: LogPositions, at: Checkpoint) -> bool:
    """Tell whether the log has the checkpoint's event now; each has the beginning. Raises Unavailable."""
    if at.position == 0:
        return True
    stamp = await log.stamp(at.position)
    return stamp is not None and stamp.event_id == at.event_id


async def belongs_in_time(log: LogPositions, at: Checkpoint, chance: Chance) -> bool:
    """Tell whether the log has the checkpoint's event, or will have it soon. Raises Unavailable."""
    if at.position == 0:
        return True
    for tries in range(1, MISSING_TRIES + 1):
        stamp = await log.stamp(at.position)
        if stamp is not None:
            return stamp.event_id == at.event_id
        await asyncio.sleep(backoff(tries, SHORTEST_SECONDS, LONGEST_SECONDS, chance()))
    return False

"""Checks that a checkpoint or an event belongs to this log: a restored or replaced log lacks the event."""

import asyncio

from core.backoff import backoff
from core.coordination.ports import Checkpoint
from core.errors import Unavailable
from core.host import Chance
from core.log.ports import LogPositions, Stamp

MISSING_TRIES = 5
"""How often a missing event is looked for: a new primary's majority view may lag."""
SHORTEST_SECONDS = 0.1
LONGEST_SECONDS = 1.0


async def belongs(log: LogPositions, at: Checkpoint) -> bool:
    """Tell whether the log has the checkpoint's event now. Position 0 is in every log. Raises Unavailable."""
    if at.position == 0:
        return True
    stamp = await log.stamp(at.position)
    return stamp is not None and stamp.event_id == at.event_id


async def belongs_in_time(log: LogPositions, at: Checkpoint, chance: Chance) -> bool:
    """Tell whether the log has the checkpoint's event, or gets it soon. Raises Unavailable."""
    if at.position == 0:
        return True
    for tries in range(1, MISSING_TRIES + 1):
        stamp = await log.stamp(at.position)
        if stamp is not None:
            return stamp.event_id == at.event_id
        await asyncio.sleep(backoff(tries, SHORTEST_SECONDS, LONGEST_SECONDS, chance()))
    return False


async def contains(log: LogPositions, last: Stamp) -> bool:
    """Tell whether the log has the event that was its last. Raises Unavailable while the log is shorter."""
    if last.position == 0:
        return True
    stamp = await log.stamp(last.position)
    if stamp is None:
        if (await log.tail()).position < last.position:
            # A new primary's majority view may lag behind the old primary's.
            raise Unavailable(f"the log does not reach position {last.position} yet")
        # The event may have become visible between the two reads.
        stamp = await log.stamp(last.position)
    return stamp is not None and stamp.event_id == last.event_id

"""How far whatever follows the log is behind it, in positions and in time."""

from datetime import timedelta

from adapters.memory.checkpoints import MemoryCheckpoints
from adapters.memory.log import Events, MemoryLog
from core.application.feed import Feed
from core.application.lag import FEED, Lag, LagMeter
from core.coordination.ports import Checkpoint, Lease
from tests.integration.application.test_feed_followers import Bringing
from tests.kit.history import History
from tests.kit.hosts import HOST, StandingClock


async def test_the_feed_and_every_projection_are_measured_against_the_log() -> None:
    history, events, checkpoints = History(), Events(), MemoryCheckpoints()
    feed = Feed(MemoryLog("log", events), Bringing(), HOST.chance)
    await feed.start()
    for number in range(3):
        history.raised(f"pump-{number}")
    for event in history.events:
        events.add(event)
    feed.hear(1, history.events[:1])
    lease = Lease("projector", "a", 1)
    assert await checkpoints.advance("ahead", lease, Checkpoint(3, history.events[2].event_id, 0))
    first, second, _ = (event.at for event in history.events)
    now = second + timedelta(minutes=1)
    meter = LagMeter(MemoryLog("log", events), feed, checkpoints, ("ahead", "new"), StandingClock(now))
    assert await meter.lags() == [
        Lag(FEED, 2, 60.0),
        Lag("ahead", 0, 0.0),
        Lag("new", 3, (now - first).total_seconds()),
    ]

"""What the running process offers to its entrypoints; built by compose.py alone."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from core.application.authentication import Authentication
from core.application.lag import Lag
from core.application.projections.kpis import KpiModel
from core.application.webhooks.service import Outgoing
from core.coordination.ports import Checkpoints
from core.delivery.session import SessionInfo
from core.lists.ports import AlarmHistory, AlarmList
from core.log.handler import CommandHandler
from core.log.ports import EventLog


@dataclass(frozen=True, slots=True)
class Services:
    """The parts that HTTP and WebSocket handlers call.

    `now`: the service's clock (UTC); `new_event_id`: a UUIDv7. `projected(position, seconds)` waits until
    the alarm list has reached the position and tells whether it has. `not_ready()` names what keeps the
    process from serving, one line each; empty: it is ready. `lags()`: how far the feed and the projections
    are behind the log; raises Unavailable. `sessions(tenant)`: the tenant's, in this process.
    """

    handler: CommandHandler
    log: EventLog
    alarms: AlarmList
    history: AlarmHistory
    checkpoints: Checkpoints
    now: Callable[[], datetime]
    new_event_id: Callable[[], str]
    projected: Callable[[int, float], Awaitable[bool]]
    not_ready: Callable[[], list[str]]
    authentication: Authentication
    sessions: Callable[[str], Sequence[SessionInfo]]
    outgoing: Outgoing
    kpis: KpiModel
    lags: Callable[[], Awaitable[Sequence[Lag]]]

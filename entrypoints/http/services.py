"""What HTTP needs of the running process; entrypoints/process/compose.py builds it."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from core.application.authentication import Authentication
from core.application.lag import Lag
from core.application.readiness import ReadinessReport
from core.application.webhooks.administration import WebhookAdministration
from core.coordination.ports import CheckpointReader
from core.delivery.session import SessionInfo
from core.host import Clock, Ids
from core.kpi.ports import KpiBuckets
from core.lists.ports import AlarmHistory, AlarmListReader
from core.log.handler import CommandHandler
from core.log.ports import QueryReader


@dataclass(frozen=True, slots=True)
class Services:
    """The parts that HTTP and WebSocket handlers call.

    `projected(position, seconds)` waits until the alarm list reaches the position, and returns whether it
    did. `readiness()`: the reasons why the process cannot serve, if any, and the lags. `lags()`: how far the
    feed and the projections are behind the log; raises Unavailable. `sessions(tenant)`: the tenant's sessions
    in this process.
    """

    handler: CommandHandler
    log: QueryReader
    alarms: AlarmListReader
    history: AlarmHistory
    checkpoints: CheckpointReader
    clock: Clock
    ids: Ids
    projected: Callable[[int, float], Awaitable[bool]]
    readiness: Callable[[], Awaitable[ReadinessReport]]
    authentication: Authentication
    sessions: Callable[[str], Sequence[SessionInfo]]
    outgoing: WebhookAdministration
    kpis: KpiBuckets
    lags: Callable[[], Awaitable[Sequence[Lag]]]

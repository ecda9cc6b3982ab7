"""What the running process offers to its entrypoints; built by compose.py alone."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from core.handler import CommandHandler
from core.ports import AlarmList, Checkpoints, EventLog
from entrypoints.outgoing import Outgoing


@dataclass(frozen=True, slots=True)
class Services:
    """The parts that HTTP and WebSocket handlers call.

    `now`: the service's clock (UTC); `new_event_id`: a UUIDv7. `projected(position, seconds)` waits until
    the alarm list has reached the position and tells whether it has. `not_ready()` names what keeps the
    process from serving, one line each; empty: it is ready.
    """

    handler: CommandHandler
    log: EventLog
    alarms: AlarmList
    checkpoints: Checkpoints
    now: Callable[[], datetime]
    new_event_id: Callable[[], str]
    projected: Callable[[int, float], Awaitable[bool]]
    not_ready: Callable[[], list[str]]
    outgoing: Outgoing

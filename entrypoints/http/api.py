"""The whole API: every operation there is, in the order of its description, and who may call which."""

from collections.abc import Sequence

from entrypoints.http.operations import Operation
from entrypoints.http.permissions import Permissions
from entrypoints.http.routes import (
    access,
    alarms,
    alertmanager,
    bulk,
    commands,
    events,
    health,
    metrics,
    outbox,
    pagerduty,
    stats,
    webhooks,
)

OPERATIONS: Sequence[Operation] = (
    *commands.routes,
    *bulk.routes,
    *alarms.routes,
    *events.routes,
    *stats.routes,
    *alertmanager.routes,
    *pagerduty.routes,
    *webhooks.routes,
    *outbox.routes,
    *access.routes,
    *health.routes,
    *metrics.routes,
)
PERMISSIONS = Permissions(OPERATIONS)

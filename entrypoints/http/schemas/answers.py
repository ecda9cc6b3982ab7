"""What requests are answered with, and what the API's description says of it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec

from core.access.ports import ApiKey
from core.alarm.alarm import Alarm, Severity, State
from core.application.lag import Lag
from core.delivery.protocol import EventMessage
from core.delivery.session import SessionInfo
from core.kpi.figures import Acknowledging, BadAlarm, BadSource, Kpi, Priority
from core.lists.filter import Filter
from core.outbox.row import RowState
from core.outbox.webhook import Format
from core.roles import Role


class CommandAnswer(msgspec.Struct, frozen=True):
    """What became of a command: whether it changed the alarm, and the alarm afterwards."""

    changed: bool
    position: int
    alarm: Alarm


class ItemAnswer(msgspec.Struct, frozen=True):
    """What became of one of several commands that was carried out."""

    status: Literal[200, 201]
    changed: bool
    position: int
    alarm: Alarm


class ProblemAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """A refusal or an error (RFC 9457); of an alarm that is there, also how it stands."""

    title: str
    status: int
    code: str
    detail: str
    state: State | None = None
    revision: int | None = None
    allowed_commands: list[str] | None = None


class AlarmsAnswer(msgspec.Struct, frozen=True):
    """A page of the alarm list, the cursor of the next one, and the position that it is exact for."""

    alarms: Sequence[Alarm]
    next: str | None
    position: int


class EventsAnswer(msgspec.Struct, frozen=True):
    """A page of events, what to send as `after` for the next one, and how far the log or the alarm is."""

    events: Sequence[EventMessage]
    next: int
    position: int


class HealthAnswer(msgspec.Struct, frozen=True):
    """The process runs."""

    status: Literal["ok"]


class ReadinessAnswer(msgspec.Struct, frozen=True):
    """Whether the process can serve, and why not; and how far what follows the log is behind it."""

    status: Literal["ready", "not ready"]
    reasons: list[str]
    lags: list[Lag]


class KeyAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """An API key without its secret."""

    id: str
    tenant: str
    name: str
    roles: list[Role]
    created_at: datetime
    created_by: str
    expires_at: datetime | None

    @classmethod
    def of(cls, key: ApiKey) -> "KeyAnswer":
        """Return what may be shown of a key."""
        return cls(**_shared(key, cls) | {"roles": sorted(key.roles)})


class NewKeyAnswer(KeyAnswer, frozen=True, kw_only=True):
    """A new API key; `key` is the only copy of what programs send."""

    key: str


class KeysAnswer(msgspec.Struct, frozen=True):
    """The tenant's API keys."""

    api_keys: list[KeyAnswer]


class SessionsAnswer(msgspec.Struct, frozen=True):
    """The tenant's sessions in the process that answers."""

    sessions: Sequence[SessionInfo]


class DisconnectedAnswer(msgspec.Struct, frozen=True):
    """Whose sessions end, and whether the tokens issued so far are refused."""

    subject: str
    revoked: bool


class IngestedAnswer(msgspec.Struct, frozen=True):
    """How many alerts were in it, and how many of them the rules refused."""

    alerts: int
    refused: int


class EnqueuedAnswer(msgspec.Struct, frozen=True):
    """The event was taken, as PagerDuty says it."""

    status: Literal["success"]
    message: str
    dedup_key: str


class InvalidEventAnswer(msgspec.Struct, frozen=True):
    """The event was not taken, as PagerDuty says it."""

    status: Literal["invalid event"]
    message: str
    errors: list[str]


class WebhookShown(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook without its secrets."""

    id: str
    url: str
    format: Format
    filter: Filter
    description: str
    enabled: bool
    disabled_reason: str | None
    after: int
    from_file: bool
    created_at: datetime
    secret_count: int


class WebhookAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """A webhook; `secrets` are those that were made with this request, shown this once."""

    webhook: WebhookShown
    secrets: Sequence[str] | None = None


class WebhooksAnswer(msgspec.Struct, frozen=True):
    """All webhooks of the tenant."""

    webhooks: list[WebhookShown]


class TestAnswer(msgspec.Struct, frozen=True):
    """What came of one call: the status it was answered with, or what went wrong."""

    delivered: bool
    status: int | None
    error: str | None
    seconds: float


class RowShown(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the outbox: one event on its way to one webhook."""

    id: str
    position: int
    webhook: str
    alarm_id: str
    event_id: str
    type: str
    state: RowState
    attempts: int
    routed_at: datetime
    next_at: datetime
    settled_at: datetime | None
    status: int | None
    error: str | None


class RowAnswer(msgspec.Struct, frozen=True):
    """One row of the outbox."""

    row: RowShown


class RowsAnswer(msgspec.Struct, frozen=True):
    """A page of the outbox, the oldest first, and the cursor of the next one."""

    rows: list[RowShown]
    next: str | None


def shown(value: msgspec.Struct, kind: type[msgspec.Struct], **more: Any) -> Any:
    """Return the `kind` that has the fields of `value`, and `more`."""
    return kind(**_shared(value, kind), **more)


def _shared(value: msgspec.Struct, kind: type[msgspec.Struct]) -> dict[str, Any]:
    return {
        name: getattr(value, name) for name in kind.__struct_fields__ if name in type(value).__struct_fields__
    }


class CurrentCounts(msgspec.Struct, frozen=True, kw_only=True):
    """How many alarms there are that are not normal; `by_state` counts the normal ones too.

    `unacked`: those that wait for an acknowledgement. `standing`: active and in sight. `stale`: of these,
    those active for more than 24 h.
    """

    total: int
    active: int
    unacked: int
    standing: int
    stale: int
    by_state: Mapping[State, int]
    by_severity: Mapping[Severity, int]


class Period(msgspec.Struct, frozen=True, kw_only=True):
    """From when to when, in whole ten minutes."""

    from_: datetime = msgspec.field(name="from")
    to: datetime


class RaisedInPeriod(msgspec.Struct, frozen=True, kw_only=True):
    """How many alarms were annunciated in the ten minutes from `at` on."""

    at: datetime
    raised: int


class StaleAlarm(msgspec.Struct, frozen=True, kw_only=True):
    """An alarm that has been active for long."""

    id: str
    source: str
    type: str
    raised_at: datetime


class StatsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The counts, exact for `position` at least, and the figures of a period, up to `kpi_position`.

    `complete`: false if there were more than 2,000 alarms in ten minutes, so that some
    count in the totals alone.
    """

    position: int
    kpi_position: int
    current: CurrentCounts
    period: Period
    kpis: Sequence[Kpi]
    series: Sequence[RaisedInPeriod]
    top_sources: Sequence[BadSource]
    chattering: Sequence[BadAlarm]
    fleeting: Sequence[BadAlarm]
    stale: Sequence[StaleAlarm]
    priorities: Sequence[Priority]
    acknowledge_seconds: Acknowledging
    complete: bool

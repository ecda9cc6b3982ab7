"""The types of answers; the API's description quotes their docstrings."""

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
    """A command's outcome: whether it changed the alarm, and the alarm afterwards."""

    changed: bool
    position: int
    alarm: Alarm


class ItemAnswer(msgspec.Struct, frozen=True):
    """The outcome of one of several commands."""

    status: Literal[200, 201]
    changed: bool
    position: int
    alarm: Alarm


class ProblemAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """A refusal or an error (RFC 9457); for an existing alarm, also its state."""

    title: str
    status: int
    code: str
    detail: str
    state: State | None = None
    revision: int | None = None
    allowed_commands: list[str] | None = None


class AlarmsAnswer(msgspec.Struct, frozen=True):
    """A page of the alarm list, the next page's cursor, and the position that the list is exact for."""

    alarms: Sequence[Alarm]
    next: str | None
    position: int


class EventsAnswer(msgspec.Struct, frozen=True):
    """A page of events, the next page's `after`, and the newest position of the log or the alarm."""

    events: Sequence[EventMessage]
    next: int
    position: int


class HealthAnswer(msgspec.Struct, frozen=True):
    """The process runs."""

    status: Literal["ok"]


class ReadinessAnswer(msgspec.Struct, frozen=True):
    """Whether the process can serve, the reasons if not, and the lags of the feed and the projections.

    `warnings`: what is wrong and no reason to send clients elsewhere.
    """

    status: Literal["ready", "not ready"]
    reasons: list[str]
    lags: list[Lag]
    warnings: list[str]


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
        """Return the key without its secret."""
        return cls(**_shared(key, cls) | {"roles": sorted(key.roles)})


class NewKeyAnswer(KeyAnswer, frozen=True, kw_only=True):
    """A new API key; `key` is the only copy of the text that programs send."""

    key: str


class KeysAnswer(msgspec.Struct, frozen=True):
    """The tenant's API keys."""

    api_keys: list[KeyAnswer]


class SessionsAnswer(msgspec.Struct, frozen=True):
    """The tenant's sessions in the process that answers."""

    sessions: Sequence[SessionInfo]


class DisconnectedAnswer(msgspec.Struct, frozen=True):
    """The subject whose sessions end, and whether its tokens issued so far are refused."""

    subject: str
    revoked: bool


class IngestedAnswer(msgspec.Struct, frozen=True):
    """How many alerts the payload had, and how many of them the rules refused."""

    alerts: int
    refused: int


class EnqueuedAnswer(msgspec.Struct, frozen=True):
    """The event was taken, in PagerDuty's words."""

    status: Literal["success"]
    message: str
    dedup_key: str


class InvalidEventAnswer(msgspec.Struct, frozen=True):
    """The event was not taken, in PagerDuty's words."""

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
    """A webhook; `secrets` are those that this request created, shown only this once."""

    webhook: WebhookShown
    secrets: Sequence[str] | None = None


class WebhooksAnswer(msgspec.Struct, frozen=True):
    """All webhooks of the tenant."""

    webhooks: list[WebhookShown]


class TestAnswer(msgspec.Struct, frozen=True):
    """The result of one call: its answer's status, or the error."""

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
    """A page of the outbox, the oldest rows first, and the next page's cursor."""

    rows: list[RowShown]
    next: str | None


def shown(value: msgspec.Struct, kind: type[msgspec.Struct], **more: Any) -> Any:
    """Return a `kind` with the fields that it shares with `value`, and `more`."""
    return kind(**_shared(value, kind), **more)


def _shared(value: msgspec.Struct, kind: type[msgspec.Struct]) -> dict[str, Any]:
    return {
        name: getattr(value, name) for name in kind.__struct_fields__ if name in type(value).__struct_fields__
    }


class CurrentCounts(msgspec.Struct, frozen=True, kw_only=True):
    """How many alarms are not normal; `by_state` counts the normal ones too.

    `unacked`: those that wait for an acknowledgement. `standing`: active and neither shelved, suppressed nor
    out of service. `stale`: standing and active for more than 24 h.
    """

    total: int
    active: int
    unacked: int
    standing: int
    stale: int
    by_state: Mapping[State, int]
    by_severity: Mapping[Severity, int]


class Period(msgspec.Struct, frozen=True, kw_only=True):
    """The start and the end, in whole ten minutes."""

    from_: datetime = msgspec.field(name="from")
    to: datetime


class RaisedInPeriod(msgspec.Struct, frozen=True, kw_only=True):
    """How many alarms were annunciated in the ten minutes from `at` on."""

    at: datetime
    raised: int


class StaleAlarm(msgspec.Struct, frozen=True, kw_only=True):
    """An alarm that has been active for more than 24 h."""

    id: str
    source: str
    type: str
    raised_at: datetime


class StatsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The counts, exact for `position` at least, and the figures of a period, up to `kpi_position`.

    `complete`: false if there were more than 2,000 alarms in ten minutes, so that some
    count only in the totals.
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

"""The query parameters: declared once, with their bounds and defaults."""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, TypeVar, get_origin, get_type_hints

import msgspec
from msgspec import Meta
from starlette.requests import Request

from core.alarm.alarm import Severity, State
from core.lists.filter import FILTER_VALUES, Filter
from core.lists.query import STATE_ORDER, AlarmQuery, Sort, sought
from core.outbox.row import RowState
from entrypoints.http.problems import Problem

P = TypeVar("P", bound=msgspec.Struct)

LIMIT = 1_000
DEFAULT_LIMIT = 100
LATEST = 2**63 - 1
"""No position is beyond it."""
SEARCH_LENGTH = 256

_LABEL = "label."
Names = Annotated[frozenset[str], Meta(max_length=FILTER_VALUES)]
Position = Annotated[int, Meta(ge=0, le=LATEST)]
Moment = Position | Annotated[datetime, Meta(tz=True)]
"""A position in the log, or a time (RFC 3339) that stands for the newest position recorded by then."""
TIME = {"format": "date-time"}
ALARM_ID = {"alarm_id": {"type": "string", "format": "uuid"}}
"""The form of the parameter of that name in a path."""
MOMENT = {"pattern": "^([0-9]{1,18}|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{8,15}Z)$"}


class AsOfParameters(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What a query takes that can look back: `as_of`, a position or a time."""

    as_of: Annotated[str, Meta(extra_json_schema=MOMENT)] | None = None

    @property
    def moment(self) -> int | datetime | None:
        """What `as_of` says. Raises Problem 422."""
        if self.as_of is None:
            return None
        try:
            # Lax only for a number, or a fraction would be taken for a time since 1970.
            whole = self.as_of.isascii() and self.as_of.isdigit()
            moment: int | datetime = msgspec.convert(self.as_of, Moment, strict=not whole)
            return moment if isinstance(moment, int) else moment.astimezone(UTC)
        except (msgspec.ValidationError, OverflowError):
            detail = "as_of must be a position or a time like 2026-01-31T08:00:00Z; send a + in it as %2B"
            raise Problem(422, "invalid", detail) from None


class FilterParameters(AsOfParameters, frozen=True, kw_only=True):
    r"""Which alarms, in which order. The sets may be repeated or have commas between, `\,` is one of a value.

    A source is exact or `prefix/*`; `label` holds what came as `label.K=V`.
    """

    state: frozenset[Literal[State, "all"]] = frozenset()
    severity: frozenset[Severity] = frozenset()
    source: Names = frozenset()
    type: Names = frozenset()
    assignee: Names = frozenset()
    label: dict[str, str] = {}
    q: Annotated[str, Meta(max_length=SEARCH_LENGTH)] = ""
    active: bool | None = None
    acked: bool | None = None
    sort: Sort = "state"

    def query(self, tenant: str) -> AlarmQuery:
        """Return what is asked for. Raises InvalidInput."""
        named = frozenset(state for state in self.state if state != "all")
        states = frozenset(STATE_ORDER) if "all" in self.state else named
        query = AlarmQuery(
            tenant=tenant,
            states=states or None,
            severities=self.severity or None,
            sources=self.source or None,
            types=self.type or None,
            assignees=self.assignee or None,
            labels=self.label,
            words=sought(self.q),
            active=self.active,
            acked=self.acked,
            sort=self.sort,
        )
        query.check()
        return query

    def digest(self) -> str:
        """Return what a cursor is bound to: the same filters, order and moment have the same."""
        shared = {name: getattr(self, name) for name in FilterParameters.__struct_fields__}
        return hashlib.sha256(msgspec.json.encode(shared, order="deterministic")).hexdigest()[:16]


class ListParameters(FilterParameters, frozen=True, kw_only=True):
    """What `GET /v1/alarms` takes."""

    limit: Annotated[int, Meta(ge=1, le=LIMIT)] = DEFAULT_LIMIT
    cursor: str | None = None
    min_position: Position = 0


class ExportParameters(FilterParameters, frozen=True, kw_only=True):
    """What `GET /v1/alarms/export` takes."""

    format: Literal["csv", "ndjson"] = "csv"
    min_position: Position = 0


class PageParameters(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What a query of events takes: what lies after the position, or the revision."""

    after: Position = 0
    limit: Annotated[int, Meta(ge=1, le=LIMIT)] = DEFAULT_LIMIT


class StatsParameters(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What `GET /v1/stats` takes: the period (RFC 3339, by default the last day), and which alarms count."""

    from_: Annotated[str, Meta(extra_json_schema=TIME)] | None = msgspec.field(name="from", default=None)
    to: Annotated[str, Meta(extra_json_schema=TIME)] | None = None
    source: Names = frozenset()
    type: Names = frozenset()

    def period(self, now: datetime, default: timedelta) -> tuple[datetime, datetime]:
        """Return from when to when; `default`: how long, where nothing is said. Raises Problem 422."""
        try:
            to = now if self.to is None else _time("to", self.to)
            return to - default if self.from_ is None else _time("from", self.from_), to
        except OverflowError:
            raise Problem(422, "invalid", "from and to must be times that a calendar can hold") from None

    def query(self, tenant: str) -> AlarmQuery:
        """Return which alarms count. Raises InvalidInput."""
        query = AlarmQuery(
            tenant=tenant,
            states=frozenset(STATE_ORDER),
            sources=self.source or None,
            types=self.type or None,
        )
        query.check()
        return query


def _time(name: str, text: str) -> datetime:
    """Read a time. Raises Problem 422, OverflowError."""
    try:
        # Strict: a number would be taken for seconds since 1970.
        time: datetime = msgspec.convert(text, Annotated[datetime, Meta(tz=True)])
        return time.astimezone(UTC)
    except msgspec.ValidationError:
        detail = f"{name} must be a time like 2026-01-31T08:00:00Z; send a + in it as %2B"
        raise Problem(422, "invalid", detail) from None


class OutboxParameters(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What `GET /v1/outbox` takes."""

    state: frozenset[Literal[RowState, "all"]] = frozenset()
    webhook: str | None = None
    limit: Annotated[int, Meta(ge=1, le=LIMIT)] = DEFAULT_LIMIT
    cursor: str | None = None


class EventFilterParameters(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Which events: the filter of subscriptions, a source exact or `prefix/*`, and after which position."""

    source: frozenset[str] = frozenset()
    type: frozenset[str] = frozenset()
    alarm_id: frozenset[str] = frozenset()
    min_severity: Severity | None = None
    label: dict[str, str] = {}
    after: Position | None = None
    log: str | None = None

    def filter(self, most: int) -> Filter:
        """Return the filter that is asked for, with at most so many values. Raises InvalidInput."""
        wanted = Filter(
            sources=self.source,
            types=self.type,
            alarm_ids=self.alarm_id,
            min_severity=self.min_severity,
            labels=self.label,
        )
        wanted.check(most)
        return wanted


class EventsParameters(EventFilterParameters, frozen=True, kw_only=True):
    """What `GET /v1/events` takes for a page of the log."""

    limit: Annotated[int, Meta(ge=1, le=LIMIT)] = DEFAULT_LIMIT


class StreamParameters(EventFilterParameters, frozen=True, kw_only=True):
    """What `GET /v1/events` takes for an event stream."""

    snapshot: bool = False
    conflate: bool = False


ALIASES = {"sources": "source", "types": "type", "alarm_ids": "alarm_id"}
"""The names that a subscription's filter has for some of them."""


def parameters(request: Request, kind: type[P]) -> P:
    """Read the query parameters. Raises Problem 422 for one that is unknown, out of bounds or there twice."""
    fields = {field.encode_name: field.name for field in msgspec.structs.fields(kind)}
    hints = get_type_hints(kind)
    several = {name for name, field in fields.items() if get_origin(hints[field]) is frozenset}
    values: dict[str, Any] = {}
    for given, value in request.query_params.multi_items():
        name = ALIASES.get(given, given) if issubclass(kind, EventFilterParameters) else given
        if name in several:
            values.setdefault(name, set()).update(_split(value))
        elif name.startswith(_LABEL) and "label" in fields:
            _once(values.setdefault("label", {}), name.removeprefix(_LABEL), value)
        elif name in fields and name != "label":
            _once(values, name, value)
        else:
            known = ", ".join(fields).replace("label,", "label.NAME,")
            raise Problem(422, "invalid", f"unknown query parameter {name[:64]!r}; there are {known}")
    try:
        read = msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        raise Problem(422, "invalid", str(error)) from None
    for name in values:
        # "null" is no value of any of them.
        if getattr(read, fields[name]) is None:
            raise Problem(422, "invalid", f"{name} must not be null")
    return read


def _once(values: dict[str, Any], name: str, value: str) -> None:
    # Only one of several would count, and which one is anybody's guess.
    if name in values:
        raise Problem(422, "invalid", f"query parameter {name[:64]!r} is given more than once")
    values[name] = value


def _split(text: str) -> list[str]:
    """Part the text at its commas, but not at those behind a backslash."""
    parted = text.replace("\\,", "\0").split(",")
    return [part.replace("\0", ",") for part in parted if part]

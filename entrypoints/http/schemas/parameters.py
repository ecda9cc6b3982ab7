"""The query parameters: declared once, with their bounds and defaults."""

import hashlib
from datetime import UTC, datetime, timedelta
from functools import cache
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
"""The greatest position possible."""
SEARCH_LENGTH = 256

_LABEL = "label."
Names = Annotated[frozenset[str], Meta(max_length=FILTER_VALUES)]
Position = Annotated[int, Meta(ge=0, le=LATEST)]
Moment = Position | Annotated[datetime, Meta(tz=True)]
"""A position in the log, or a time (RFC 3339) that stands for the newest position recorded by then."""
TIME = {"format": "date-time"}
ALARM_ID = {"alarm_id": {"type": "string", "format": "uuid"}}
"""The schema of a path's `alarm_id`."""
MOMENT = {"pattern": "^([0-9]{1,18}|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{8,15}Z)$"}


class AsOfParameters(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The parameter of queries that can look back: `as_of`, a position or a time."""

    as_of: Annotated[str, Meta(extra_json_schema=MOMENT)] | None = None

    @property
    def moment(self) -> int | datetime | None:
        """The position or time of `as_of`. Raises Problem 422."""
        if self.as_of is None:
            return None
        try:
            # Lax only for a whole number: a fraction would become seconds since 1970.
            whole = self.as_of.isascii() and self.as_of.isdigit()
            moment: int | datetime = msgspec.convert(self.as_of, Moment, strict=not whole)
            return moment if isinstance(moment, int) else moment.astimezone(UTC)
        except (msgspec.ValidationError, OverflowError):
            detail = "as_of must be a position or a time like 2026-01-31T08:00:00Z; send a + in it as %2B"
            raise Problem(422, "invalid", detail) from None


class FilterParameters(AsOfParameters, frozen=True, kw_only=True):
    r"""The filter and the order of alarms. Repeat a set or separate it by commas; `\,` is a comma in a value.

    A source is exact or `prefix/*`; `label` holds the parameters `label.K=V`.
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
        """Return the query. Raises InvalidInput."""
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
        """Return the digest that binds cursors to these filters, order and moment."""
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
    """What `GET /v1/alarms/{id}/events` takes; `after` is a revision."""

    after: Position = 0
    limit: Annotated[int, Meta(ge=1, le=LIMIT)] = DEFAULT_LIMIT


class StatsParameters(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What `GET /v1/stats` takes: the period (RFC 3339, by default the last day), and which alarms count."""

    from_: Annotated[str, Meta(extra_json_schema=TIME)] | None = msgspec.field(name="from", default=None)
    to: Annotated[str, Meta(extra_json_schema=TIME)] | None = None
    source: Names = frozenset()
    type: Names = frozenset()

    def period(self, now: datetime, default: timedelta) -> tuple[datetime, datetime]:
        """Return the start and the end; `default`: the length if `from` is missing. Raises Problem 422."""
        try:
            to = now if self.to is None else _time("to", self.to)
            return to - default if self.from_ is None else _time("from", self.from_), to
        except OverflowError:
            raise Problem(422, "invalid", "from and to must be times that a calendar can hold") from None

    def query(self, tenant: str) -> AlarmQuery:
        """Return the query for the alarms that count. Raises InvalidInput."""
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
        # Strict, or a number would become seconds since 1970.
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
    """A subscription's filter (a source is exact or `prefix/*`), and the position that the events follow."""

    source: frozenset[str] = frozenset()
    type: frozenset[str] = frozenset()
    alarm_id: frozenset[str] = frozenset()
    min_severity: Severity | None = None
    label: dict[str, str] = {}
    after: Position | None = None
    log: str | None = None

    def filter(self, most: int) -> Filter:
        """Return the filter, with at most `most` values. Raises InvalidInput."""
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
"""The names that a subscription's filter has for some parameters."""


def parameters(request: Request, kind: type[P]) -> P:
    """Read the query parameters. Raises Problem 422 for one that is unknown, out of bounds or repeated."""
    fields, several = _declared(kind)
    values: dict[str, Any] = {}
    for key, value in request.query_params.multi_items():
        name = ALIASES.get(key, key) if issubclass(kind, EventFilterParameters) else key
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
        # No parameter has a value "null".
        if getattr(read, fields[name]) is None:
            raise Problem(422, "invalid", f"{name} must not be null")
    return read


@cache
def _declared(kind: type[msgspec.Struct]) -> tuple[dict[str, str], frozenset[str]]:
    """Return a kind's fields by their parameters, and which take several values: found once, in 0.3 ms."""
    fields = {field.encode_name: field.name for field in msgspec.structs.fields(kind)}
    hints = get_type_hints(kind)
    return fields, frozenset(name for name, field in fields.items() if get_origin(hints[field]) is frozenset)


def _once(values: dict[str, Any], name: str, value: str) -> None:
    # Only one of several values would count, and the client could not know which.
    if name in values:
        raise Problem(422, "invalid", f"query parameter {name[:64]!r} is given more than once")
    values[name] = value


def _split(text: str) -> list[str]:
    """Split the text at its commas, except those after a backslash."""
    parted = text.replace("\\,", "\0").split(",")
    return [part.replace("\0", ",") for part in parted if part]

"""The bodies of Tocsin's own commands, and the commands made of them.

The bodies are strict, since an unknown field is a mistake of the sender.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from core.alarm.alarm import Identity, Severity
from core.alarm.bounds import CONTROLS, LABEL_BYTES, LABELS, NAME_BYTES, TEXT_BYTES
from core.alarm.commands import Command
from core.alarm.condition import Clear, Raise
from core.alarm.context import Context
from core.alarm.notes import Assign, Comment, Unassign
from core.alarm.responses import Acknowledge, Confirm, Reset
from core.alarm.suppression import (
    PlaceInService,
    RemoveFromService,
    Shelve,
    Suppress,
    Unshelve,
    Unsuppress,
)
from entrypoints.http.problems import Problem

MAX_SHELVE_SECONDS = 24 * 3600.0
"""The longest timed shelf."""
NO_NUL = "^[^\\x00]*$"
NO_CONTROLS = f"^[^{CONTROLS}]*$"
_Json = {"$ref": "#/components/schemas/Detail"}

# The rules check these bounds, in bytes of UTF-8; here the bounds only describe the API.
Time = Annotated[datetime, Meta(tz=True)]
Name = Annotated[str, Meta(extra_json_schema={"minLength": 1, "maxLength": NAME_BYTES})]
PrintedName = Annotated[
    str, Meta(extra_json_schema={"minLength": 1, "maxLength": NAME_BYTES, "pattern": NO_CONTROLS})
]
MaybePrintedName = Annotated[str, Meta(extra_json_schema={"maxLength": NAME_BYTES, "pattern": NO_CONTROLS})]
MaybeName = Annotated[str, Meta(extra_json_schema={"maxLength": NAME_BYTES})]
Origin = Annotated[str, Meta(extra_json_schema={"maxLength": NAME_BYTES, "pattern": NO_NUL})]
Text = Annotated[str, Meta(extra_json_schema={"maxLength": TEXT_BYTES})]
NonBlank = Annotated[str, Meta(extra_json_schema={"maxLength": TEXT_BYTES, "pattern": r"\S"})]
Labels = Annotated[
    dict[str, str],
    Meta(
        extra_json_schema={
            "maxProperties": LABELS,
            "propertyNames": {"maxLength": LABEL_BYTES, "pattern": NO_CONTROLS},
            "additionalProperties": {"type": "string", "maxLength": LABEL_BYTES},
        }
    ),
]
Details = Annotated[
    dict[str, Any],
    Meta(extra_json_schema={"propertyNames": {"pattern": NO_NUL}, "additionalProperties": _Json}),
]


class RaiseBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What `POST /v1/alarms` takes."""

    source: PrintedName
    type: PrintedName
    severity: Severity
    qualifier: MaybePrintedName = ""
    text: Text = ""
    labels: Labels = {}
    details: Details = {}
    event_type: MaybeName | None = None
    probable_cause: MaybeName | None = None
    annunciate: bool = True
    latched: bool = False
    origin: MaybePrintedName = ""
    occurred_at: Time | None = None


class ClearBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What `POST /v1/clear` takes: a device knows the identity, not the id."""

    source: MaybeName
    type: MaybeName
    qualifier: MaybeName = ""
    origin: Origin | None = None
    occurred_at: Time | None = None


class ClearByIdBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What `POST /v1/alarms/{id}/clear` takes."""

    occurred_at: Time | None = None


class AcknowledgeBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Acknowledge an alarm at the revision that the operator saw."""

    revision: Annotated[int, Meta(ge=1)]


class NothingBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A command without fields."""


class ShelveBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Shelve an alarm for `seconds`; without them, until the alarm returns to normal (one_shot)."""

    seconds: Annotated[float, Meta(gt=0, extra_json_schema={"maximum": MAX_SHELVE_SECONDS})] | None = None
    reason: Text = ""


class ReasonBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A command with an optional reason."""

    reason: Text = ""


class NeededReasonBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A command with a required reason."""

    reason: NonBlank


class AssignBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Assign an alarm to somebody."""

    assignee: Name


class CommentBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Comment on an alarm."""

    text: Annotated[str, Meta(extra_json_schema={"minLength": 1, "maxLength": TEXT_BYTES})]


def utc(time: datetime | None) -> datetime | None:
    """Return the time in UTC. Raises Problem 422: in UTC it is outside the years 1 to 9999."""
    try:
        return None if time is None else time.astimezone(UTC)
    except OverflowError:
        raise Problem(422, "invalid", "occurred_at must be within the years 1 to 9999 in UTC") from None


def raising(made: Context, body: RaiseBody) -> Raise:
    """Return a body's raise command."""
    return Raise(
        context=made,
        identity=Identity(made.tenant, body.source, body.type, body.qualifier),
        severity=body.severity,
        text=body.text,
        labels=body.labels,
        details=body.details,
        event_type=body.event_type,
        probable_cause=body.probable_cause,
        annunciate=body.annunciate,
        latched=body.latched,
        origin=body.origin,
    )


class ById(msgspec.Struct, frozen=True):
    """A command on an alarm by its id; `make` makes it of context, id and body."""

    command: type[Command]
    summary: str
    body: type[msgspec.Struct]
    make: Callable[[Context, str, Any], Command]

    @property
    def optional(self) -> bool:
        """Whether the body may be left out."""
        return not any(field.required for field in msgspec.structs.fields(self.body))


_BY_ID = (
    ById(
        Clear, "Clear an alarm by hand", ClearByIdBody, lambda by, alarm, _: Clear(context=by, alarm_id=alarm)
    ),
    ById(
        Acknowledge,
        "Acknowledge an alarm, as it stood at a revision",
        AcknowledgeBody,
        lambda by, alarm, body: Acknowledge(context=by, alarm_id=alarm, revision=body.revision),
    ),
    ById(
        Confirm,
        "Confirm that an acknowledged alarm was dealt with",
        NothingBody,
        lambda by, alarm, _: Confirm(context=by, alarm_id=alarm),
    ),
    ById(
        Reset,
        "Reset a latched alarm whose condition is gone",
        NothingBody,
        lambda by, alarm, _: Reset(context=by, alarm_id=alarm),
    ),
    ById(
        Shelve,
        "Shelve an alarm, for a time or until it returns to normal",
        ShelveBody,
        lambda by, alarm, body: Shelve(
            context=by,
            alarm_id=alarm,
            seconds=body.seconds,
            max_seconds=MAX_SHELVE_SECONDS,
            reason=body.reason,
        ),
    ),
    ById(
        Unshelve,
        "Unshelve an alarm",
        NothingBody,
        lambda by, alarm, _: Unshelve(context=by, alarm_id=alarm),
    ),
    ById(
        Suppress,
        "Suppress an alarm by design",
        ReasonBody,
        lambda by, alarm, body: Suppress(context=by, alarm_id=alarm, reason=body.reason),
    ),
    ById(
        Unsuppress,
        "End the suppression by design",
        ReasonBody,
        lambda by, alarm, body: Unsuppress(context=by, alarm_id=alarm, reason=body.reason),
    ),
    ById(
        RemoveFromService,
        "Take an alarm out of service",
        NeededReasonBody,
        lambda by, alarm, body: RemoveFromService(context=by, alarm_id=alarm, reason=body.reason),
    ),
    ById(
        PlaceInService,
        "Put an alarm back into service",
        NeededReasonBody,
        lambda by, alarm, body: PlaceInService(context=by, alarm_id=alarm, reason=body.reason),
    ),
    ById(
        Assign,
        "Assign an alarm to somebody",
        AssignBody,
        lambda by, alarm, body: Assign(context=by, alarm_id=alarm, assignee=body.assignee),
    ),
    ById(
        Unassign,
        "Unassign an alarm",
        NothingBody,
        lambda by, alarm, _: Unassign(context=by, alarm_id=alarm),
    ),
    ById(
        Comment,
        "Comment on an alarm",
        CommentBody,
        lambda by, alarm, body: Comment(context=by, alarm_id=alarm, text=body.text),
    ),
)
BY_ID = {each.command.name: each for each in _BY_ID}
"""Every command on an alarm by its id; routes, elements of `POST /v1/commands` and documents are derived."""

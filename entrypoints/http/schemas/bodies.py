"""The bodies of our own commands, and the commands that they become.

They are strict, since a field that nobody reads is a mistake of the sender.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from core.alarm.alarm import Identity, Severity
from core.alarm.bounds import LABEL_BYTES, LABELS, NAME_BYTES, TEXT_BYTES
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
_Json = {"$ref": "#/components/schemas/Detail"}

# Bounds that the rules check, in bytes of UTF-8, are told to readers of the API's description here.
Time = Annotated[datetime, Meta(tz=True)]
Name = Annotated[str, Meta(extra_json_schema={"minLength": 1, "maxLength": NAME_BYTES})]
MaybeName = Annotated[str, Meta(extra_json_schema={"maxLength": NAME_BYTES})]
Origin = Annotated[str, Meta(extra_json_schema={"maxLength": NAME_BYTES, "pattern": NO_NUL})]
Text = Annotated[str, Meta(extra_json_schema={"maxLength": TEXT_BYTES})]
Said = Annotated[str, Meta(extra_json_schema={"maxLength": TEXT_BYTES, "pattern": r"\S"})]
Labels = Annotated[
    dict[str, str],
    Meta(
        extra_json_schema={
            "maxProperties": LABELS,
            "propertyNames": {"maxLength": LABEL_BYTES, "pattern": NO_NUL},
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

    source: Name
    type: Name
    severity: Severity
    qualifier: MaybeName = ""
    text: Text = ""
    labels: Labels = {}
    details: Details = {}
    event_type: MaybeName | None = None
    probable_cause: MaybeName | None = None
    annunciate: bool = True
    latched: bool = False
    origin: Origin = ""
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
    """Acknowledge: the revision that the operator was looking at."""

    revision: Annotated[int, Meta(ge=1)]


class NothingBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A command that says all by its name."""


class ShelveBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Shelve: for `seconds`, or, left out, until the alarm returns to normal (one_shot)."""

    seconds: Annotated[float, Meta(gt=0, extra_json_schema={"maximum": MAX_SHELVE_SECONDS})] | None = None
    reason: Text = ""


class ReasonBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A command that may say why."""

    reason: Text = ""


class NeededReasonBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A command that has to say why."""

    reason: Said


class AssignBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Assign: to whom."""

    assignee: Name


class CommentBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Comment: what to say."""

    text: Annotated[str, Meta(extra_json_schema={"minLength": 1, "maxLength": TEXT_BYTES})]


def utc(time: datetime | None) -> datetime | None:
    """Return the time in UTC. Raises Problem 422: there it falls outside the years 1 to 9999."""
    try:
        return None if time is None else time.astimezone(UTC)
    except OverflowError:
        raise Problem(422, "invalid", "occurred_at must be within the years 1 to 9999 in UTC") from None


def raising(made: Context, body: RaiseBody) -> Raise:
    """Return the raise that a body asks for."""
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
    """A command on an alarm by its id: its body, and what makes the command of context, id and body."""

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
        "Take note of an alarm, as it stood at a revision",
        AcknowledgeBody,
        lambda by, alarm, body: Acknowledge(context=by, alarm_id=alarm, revision=body.revision),
    ),
    ById(
        Confirm,
        "Say that an acknowledged alarm was seen to",
        NothingBody,
        lambda by, alarm, _: Confirm(context=by, alarm_id=alarm),
    ),
    ById(
        Reset,
        "Let a latched alarm whose condition is gone return to normal",
        NothingBody,
        lambda by, alarm, _: Reset(context=by, alarm_id=alarm),
    ),
    ById(
        Shelve,
        "Put an alarm out of sight, for a time or until it returns to normal",
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
        "Bring a shelved alarm back into sight",
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
        "Say who sees to an alarm",
        AssignBody,
        lambda by, alarm, body: Assign(context=by, alarm_id=alarm, assignee=body.assignee),
    ),
    ById(
        Unassign,
        "Say that nobody sees to an alarm any more",
        NothingBody,
        lambda by, alarm, _: Unassign(context=by, alarm_id=alarm),
    ),
    ById(
        Comment,
        "Say something about an alarm",
        CommentBody,
        lambda by, alarm, body: Comment(context=by, alarm_id=alarm, text=body.text),
    ),
)
BY_ID = {each.command.name: each for each in _BY_ID}
"""Every command on an alarm by its id; routes, elements of `POST /v1/commands` and documents follow."""

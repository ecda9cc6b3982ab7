"""The bodies of our own commands: strict, since a field that nobody reads is a mistake of the sender."""

from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from core.alarm.alarm import Severity
from core.alarm.bounds import LABEL_BYTES, LABELS, NAME_BYTES, TEXT_BYTES
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

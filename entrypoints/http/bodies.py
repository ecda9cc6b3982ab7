"""The bodies of our own commands: strict, since a field that nobody reads is a mistake of the sender."""

from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from core.alarm import Severity
from entrypoints.http.problems import Problem

Time = Annotated[datetime, Meta(tz=True)]


class RaiseBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What `POST /v1/alarms` takes."""

    source: str
    type: str
    severity: Severity
    qualifier: str = ""
    text: str = ""
    labels: dict[str, str] = {}
    details: dict[str, Any] = {}
    event_type: str | None = None
    probable_cause: str | None = None
    annunciate: bool = True
    latched: bool = False
    origin: str = ""
    occurred_at: Time | None = None


class ClearBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What `POST /v1/clear` takes: a device knows the identity, not the id."""

    source: str
    type: str
    qualifier: str = ""
    origin: str | None = None
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

    seconds: Annotated[float, Meta(gt=0)] | None = None
    reason: str = ""


class ReasonBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A command that may say why."""

    reason: str = ""


class AssignBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Assign: to whom."""

    assignee: str


class CommentBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Comment: what to say."""

    text: str


def utc(time: datetime | None) -> datetime | None:
    """Return the time in UTC. Raises Problem 422: there it falls outside the years 1 to 9999."""
    try:
        return None if time is None else time.astimezone(UTC)
    except OverflowError:
        raise Problem(422, "invalid", "occurred_at must be within the years 1 to 9999 in UTC") from None

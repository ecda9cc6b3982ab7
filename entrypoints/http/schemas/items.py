"""The elements of `POST /v1/commands`: the bodies of the single routes, each with its command's name."""

from typing import Annotated, Any, Union

import msgspec
from msgspec import Meta

from core.alarm.alarm import ALARM_ID_LENGTH, Identity
from core.alarm.condition import Clear, Raise
from entrypoints.http.problems import Problem
from entrypoints.http.schemas.bodies import BY_ID, RaiseBody, Time

AlarmId = Annotated[str, Meta(max_length=ALARM_ID_LENGTH)]
"""A longer one would be looked up among the ids of others."""
IfMatch = Annotated[int, Meta(ge=1)] | None
"""The revision that the alarm must be at, else 412; like If-Match for a single command."""


class RaiseItem(RaiseBody, frozen=True, kw_only=True, tag_field="command", tag=Raise.name):
    """Raise an alarm."""

    if_match: IfMatch = None


class ClearItem(
    msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True, tag_field="command", tag=Clear.name
):
    """Clear an alarm, by its identity for a device or by its id for an operator."""

    alarm_id: AlarmId | None = None
    source: str | None = None
    type: str | None = None
    qualifier: str = ""
    origin: str | None = None
    occurred_at: Time | None = None
    if_match: IfMatch = None

    def identity(self, tenant: str) -> Identity | None:
        """Return the identity; None: there is an id. Raises Problem 422 unless there is one of the two."""
        if self.alarm_id is None and self.source is not None and self.type is not None:
            return Identity(tenant, self.source, self.type, self.qualifier)
        if self.alarm_id is not None and (self.source, self.type, self.origin) == (None, None, None):
            return None
        raise Problem(422, "invalid", "clear takes either alarm_id, or source and type")


def _item(name: str, body: type[msgspec.Struct]) -> type[msgspec.Struct]:
    """Return the body with `command`, `alarm_id` and `if_match`."""
    return msgspec.defstruct(
        f"{name.title().replace('_', '')}Item",
        [("alarm_id", AlarmId), ("if_match", IfMatch, None)],
        bases=(body,),
        tag_field="command",
        tag=name,
        forbid_unknown_fields=True,
        frozen=True,
        kw_only=True,
    )


ITEM: Any = Union[
    RaiseItem,
    ClearItem,
    *(_item(name, kind.body) for name, kind in BY_ID.items() if kind.command is not Clear),
]
"""One element: a raise, a clear, or any other command on an alarm by its id."""


def command_name(item: msgspec.Struct) -> str:
    """Return the name of an element's command."""
    return str(item.__struct_config__.tag)

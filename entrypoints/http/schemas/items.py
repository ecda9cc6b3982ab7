"""The elements of `POST /v1/commands`: the bodies of the single routes, each with its command's name."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Union

import msgspec
from msgspec import Meta

from core.alarm.alarm import Identity
from entrypoints.http.problems import Problem
from entrypoints.http.schemas.bodies import RaiseBody, Time

IfMatch = Annotated[int, Meta(ge=1)] | None
"""The revision that the alarm must be at, or the answer is 412: what the header is to a single route."""


class RaiseItem(RaiseBody, frozen=True, kw_only=True, tag_field="command", tag="raise"):
    """Raise an alarm."""

    if_match: IfMatch = None


class ClearItem(
    msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True, tag_field="command", tag="clear"
):
    """Clear: by a device, which knows the identity, or by an operator, who knows the id."""

    alarm_id: str | None = None
    source: str | None = None
    type: str | None = None
    qualifier: str = ""
    origin: str | None = None
    occurred_at: Time | None = None
    if_match: IfMatch = None

    def identity(self, tenant: str) -> Identity | None:
        """Return the identity; None: it goes by id. Raises Problem 422 unless it is one of the two."""
        if self.alarm_id is None and self.source is not None and self.type is not None:
            return Identity(tenant, self.source, self.type, self.qualifier)
        if self.alarm_id is not None and (self.source, self.type, self.origin) == (None, None, None):
            return None
        raise Problem(422, "invalid", "clear takes either alarm_id, or source and type")


def items_by_id(bodies: Mapping[str, type[msgspec.Struct]]) -> list[type[msgspec.Struct]]:
    """Return, for each command on an alarm by its id, its body with `command`, `alarm_id`, `if_match`."""
    return [
        msgspec.defstruct(
            f"{name.title().replace('_', '')}Item",
            [("alarm_id", str), ("if_match", IfMatch, None)],
            bases=(body,),
            tag_field="command",
            tag=name,
            forbid_unknown_fields=True,
            frozen=True,
            kw_only=True,
        )
        for name, body in bodies.items()
    ]


def items(by_id: Iterable[type[msgspec.Struct]]) -> Any:
    """Return the type of one element: a RaiseItem, a ClearItem, or one of `by_id`."""
    return Union[RaiseItem, ClearItem, *by_id]


def command_name(item: msgspec.Struct) -> str:
    """Return which command an element is."""
    return str(item.__struct_config__.tag)

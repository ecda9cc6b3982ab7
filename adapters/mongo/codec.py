"""Events and alarms as MongoDB documents (design: data in MongoDB)."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from bson import Int64

from core.alarm import Alarm
from core.errors import UnknownEvent
from core.events import SCHEMA_VERSION, Event

Document = dict[str, Any]


def event_document(event: Event) -> Document:
    """Return the document of a placed event: `_id` is its position."""
    document: Document = msgspec.to_builtins(event, builtin_types=(datetime,))
    alarm = document["alarm"]
    document["_id"] = Int64(document.pop("position"))
    alarm["position"] = Int64(alarm["position"])
    # The partial index on command_id leaves out documents without it.
    for name in ("command_id", "command_hash", "trace"):
        if document[name] is None:
            del document[name]
    return document


def event_of(document: Mapping[str, Any]) -> Event:
    """Return the event of a document that was read with naive times. Raises UnknownEvent."""
    fields = _plain(document)
    fields["position"] = fields.pop("_id")
    fields["alarm"] = _plain(fields["alarm"])
    fields["data"] = _plain(fields["data"])
    try:
        return msgspec.convert(fields, Event)
    except msgspec.ValidationError:
        # What a newer version stores may have another shape; a known version of this shape is a fault.
        if fields["v"] > SCHEMA_VERSION:
            raise UnknownEvent(fields["type"], fields["v"], fields["position"]) from None
        raise


def alarm_document(alarm: Alarm) -> Document:
    """Return the row of an alarm: `_id` is its id."""
    document: Document = msgspec.to_builtins(alarm, builtin_types=(datetime,))
    document["_id"] = document.pop("id")
    document["position"] = Int64(document["position"])
    return document


def alarm_of(document: Mapping[str, Any]) -> Alarm:
    """Return the alarm of a row that was read with naive times."""
    fields = _plain(document)
    fields["id"] = fields.pop("_id")
    return msgspec.convert(fields, Alarm)


def snapshot_of(document: Mapping[str, Any]) -> Alarm:
    """Return the alarm in an event's document that was read with naive times."""
    return msgspec.convert(_plain(document), Alarm)


def _plain(document: Mapping[str, Any]) -> Document:
    """Make times UTC, and integers plain ones, down to the origins and the details."""
    plain: Document = {}
    for name, value in document.items():
        kind = type(value)
        if kind is datetime:
            plain[name] = value.replace(tzinfo=UTC)
        elif kind is Int64:
            plain[name] = int(value)
        elif (kind is dict and name == "origins") or (value and name == "details"):
            plain[name] = _plain_deep(value)
        else:
            plain[name] = value
    return plain


def _plain_deep(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain_deep(child) for name, child in value.items()}
    if isinstance(value, list):
        return [_plain_deep(child) for child in value]
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC)
    return int(value) if type(value) is Int64 else value

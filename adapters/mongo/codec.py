"""Events and alarms as MongoDB documents."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec
from bson import Int64
from msgspec.structs import asdict

from core.alarm.alarm import Alarm
from core.alarm.events import SCHEMA_VERSION, Event, Recorded, Snapshot
from core.alarm.upcasting import upcast_alarm
from core.errors import UnknownEvent

Document = dict[str, Any]
R = TypeVar("R", bound=Recorded)

_ODD = frozenset({"details", "origins", "until"})
"""The fields of facts that hold times, or a source's own data."""
_ALARM_TIMES = tuple(
    field.encode_name for field in msgspec.structs.fields(Alarm) if field.type == datetime | None
)


def event_document(event: Event) -> Document:
    """Return the document of a placed event: `_id` is its position."""
    document = asdict(event)
    document["_id"] = Int64(document.pop("position"))
    document["actor"] = asdict(event.actor)
    document["alarm"] = _alarm_fields(event.alarm)
    # The partial index on command_id leaves out documents without it.
    for name in ("command_id", "command_hash", "trace"):
        if document[name] is None:
            del document[name]
    return document


def event_of(document: Mapping[str, Any]) -> Event:
    """Return the event of a document that was read with naive times. Raises UnknownEvent."""
    fields = _recorded(document)
    fields["alarm"] = _alarm(document["alarm"], fields["v"])
    return _converted(fields, Event)


def recorded_of(document: Mapping[str, Any]) -> Recorded:
    """Return what a document without its snapshot has recorded. Raises UnknownEvent."""
    return _converted(_recorded(document), Recorded)


def alarm_document(alarm: Alarm) -> Document:
    """Return the row of an alarm: `_id` is its id."""
    document = _alarm_fields(alarm)
    document["_id"] = document.pop("id")
    return document


def alarm_of(document: Mapping[str, Any]) -> Alarm:
    """Return the alarm of a row that was read with naive times."""
    fields = _alarm(document, SCHEMA_VERSION)
    fields["id"] = fields.pop("_id")
    return msgspec.convert(fields, Alarm)


def newest_of(document: Mapping[str, Any]) -> Snapshot:
    """Return the snapshot in an event's document, and the event's place. Raises UnknownEvent."""
    return Snapshot(
        position=int(document["_id"]),
        stream=document["stream"],
        revision=document["revision"],
        type=document["type"],
        v=document["v"],
        alarm=snapshot_of(document),
    )


def snapshot_of(document: Mapping[str, Any]) -> Alarm:
    """Return the snapshot of an event's document that was read with naive times. Raises UnknownEvent."""
    version = document["v"]
    try:
        return msgspec.convert(_alarm(document["alarm"], version), Alarm)
    except msgspec.ValidationError:
        if version > SCHEMA_VERSION:
            raise UnknownEvent(document["type"], version, document["_id"]) from None
        raise


def _alarm_fields(alarm: Alarm) -> Document:
    # Runs for every event written: msgspec.to_builtins takes five times as long.
    fields = asdict(alarm)
    fields["position"] = Int64(alarm.position)
    fields["origins"] = {name: asdict(origin) for name, origin in alarm.origins.items()}
    return fields


def _converted(fields: Document, kind: type[R]) -> R:
    try:
        return msgspec.convert(fields, kind)
    except msgspec.ValidationError:
        # A newer version may store another shape; in a known version, a wrong shape is a fault.
        if fields["v"] > SCHEMA_VERSION:
            raise UnknownEvent(fields["type"], fields["v"], fields["position"]) from None
        raise


def _recorded(document: Mapping[str, Any]) -> Document:
    fields = dict(document)
    fields["position"] = fields.pop("_id")
    fields["at"] = fields["at"].replace(tzinfo=UTC)
    fields["occurred_at"] = fields["occurred_at"].replace(tzinfo=UTC)
    data = fields["data"]
    if fields["v"] != SCHEMA_VERSION:
        fields["data"] = _plain_deep(data)
    elif not _ODD.isdisjoint(data):
        # Runs for every event read: the rest of a fact need not be walked.
        fields["data"] = {**data, **{name: _plain(name, data[name]) for name in _ODD & data.keys()}}
    return fields


def _plain(name: str, value: Any) -> Any:
    return _origins(value) if name == "origins" else _plain_deep(value)


def _alarm(document: Mapping[str, Any], version: int) -> Document:
    if version != SCHEMA_VERSION:
        plain: Document = _plain_deep(document)
        return upcast_alarm(plain, version, SCHEMA_VERSION)
    # Runs for every event read: converting the known fields costs a fifth of walking all of them.
    fields = dict(document)
    for name in _ALARM_TIMES:
        time = fields[name]
        if time is not None:
            fields[name] = time.replace(tzinfo=UTC)
    fields["origins"] = _origins(fields["origins"])
    if fields["details"]:
        fields["details"] = _plain_deep(fields["details"])
    return fields


def _origins(origins: Mapping[str, Document]) -> Document:
    return {
        name: {**origin, "since": origin["since"].replace(tzinfo=UTC)} for name, origin in origins.items()
    }


def _plain_deep(value: Any) -> Any:
    """Make times UTC and integers plain, at any depth."""
    if isinstance(value, dict):
        return {name: _plain_deep(child) for name, child in value.items()}
    if isinstance(value, list):
        return [_plain_deep(child) for child in value]
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC)
    return int(value) if type(value) is Int64 else value

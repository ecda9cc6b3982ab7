"""Turns PagerDuty's events into commands.

An acknowledge and a resolve carry only the routing key and the dedup key, so these are the identity. The
payload's source, component, group and class are labels. The routing key is a secret: only its hash is kept.
"""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import chain, islice
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from adapters.pagerduty.event import PagerDutyEvent, Payload
from core.alarm import bounds
from core.alarm.alarm import Identity
from core.alarm.condition import Raise
from core.alarm.context import Context
from core.errors import InvalidInput

TYPE = "event"
PARTS = 1_000
"""How many parts of an event's details are looked at."""
RAW_BYTES = 6 * bounds.DETAILS_BYTES
"""A longer part cannot fit, even with every character escaped."""
EXAMINED_BYTES = 2 * RAW_BYTES
"""How much of them is decoded, since each value takes time; what cannot be stored counts too."""

_UNFIT = object()
_members = msgspec.json.Decoder(dict[str, msgspec.Raw])

_Time = Annotated[datetime, Meta(tz=True)]


def identity_of(event: PagerDutyEvent, dedup_key: str, tenant: str) -> Identity:
    """Return the alarm's identity. Alarm ids are made of it: changing it would change every id."""
    key = dedup_key.encode()
    fits = len(key) <= bounds.NAME_BYTES and not bounds.has_controls(dedup_key)
    # A hash keeps keys apart that would look alike once they were cut.
    qualifier = dedup_key if fits else f"sha256:{hashlib.sha256(key).hexdigest()}"
    return Identity(tenant, source_of(event.routing_key), TYPE, qualifier)


def source_of(routing_key: str) -> str:
    """Return the source that stands for a routing key, without revealing the key."""
    return f"pagerduty/{hashlib.sha256(routing_key.encode()).hexdigest()[:32]}"


def raise_of(identity: Identity, context: Context, event: PagerDutyEvent, payload: Payload) -> Raise:
    """Return a trigger as a raise; what is too long for an alarm is cut or left out."""
    limit = bounds.LABEL_BYTES
    return Raise(
        context=context,
        identity=identity,
        severity=payload.severity,
        text=bounds.cut(payload.summary, bounds.TEXT_BYTES),
        labels={name: bounds.cut(value, limit) for name, value in payload.labels.items()},
        details=_details(event.context, payload.custom_details),
    )


def time_of(payload: Payload) -> datetime | None:
    """Return the payload's time, in UTC; None for a missing or malformed one."""
    try:
        time: datetime = msgspec.convert(payload.timestamp, _Time)
        return time.astimezone(UTC)
    except (msgspec.ValidationError, OverflowError):
        return None


def _details(context: Mapping[str, msgspec.Raw], custom: msgspec.Raw | None) -> dict[str, Any]:
    """Return the parts of the context, then of the custom details, that fit, and count those left out."""
    details: dict[str, Any] = {}
    size = len('{"details_left_out":9999999}')
    whole, members = _split(context, custom)
    parts = chain(
        (((name,), raw) for name, raw in whole.items()),
        ((("custom_details", name), raw) for name, raw in members.items()),
    )
    left_out, examined = max(0, len(whole) + len(members) - PARTS), 0
    for path, raw in islice(parts, PARTS):
        examined += len(raw) if len(raw) <= RAW_BYTES else 0
        value = _UNFIT if examined > EXAMINED_BYTES else _value(path, raw)
        length = bounds.DETAILS_BYTES if value is _UNFIT else _length(path, value)
        if size + length > bounds.DETAILS_BYTES:
            left_out += 1
            continue
        size += length
        inner = details
        for name in path[:-1]:
            inner = inner.setdefault(name, {})
        inner[path[-1]] = value
    return details | ({"details_left_out": left_out} if left_out else {})


def _split(
    context: Mapping[str, msgspec.Raw], custom: msgspec.Raw | None
) -> tuple[Mapping[str, msgspec.Raw], Mapping[str, msgspec.Raw]]:
    """Return what is kept whole or not at all, and the members of custom details that are an object."""
    if custom is None:
        return context, {}
    try:
        return context, _members.decode(custom)
    except msgspec.ValidationError:
        return {**context, "custom_details": custom}, {}


def _value(path: tuple[str, ...], raw: msgspec.Raw) -> Any:
    """Return a part's value, or _UNFIT if it cannot be stored."""
    if len(raw) > RAW_BYTES:
        return _UNFIT
    try:
        value = msgspec.json.decode(raw)
        bounds.check_details(_nested(path, value))
    except (InvalidInput, RecursionError):
        return _UNFIT
    return value


def _length(path: tuple[str, ...], value: Any) -> int:
    """Return how many bytes of JSON the value takes at most."""
    return len(msgspec.json.encode(_nested(path, value))) + 1


def _nested(path: tuple[str, ...], value: Any) -> Any:
    for name in reversed(path):
        value = {name: value}
    return value

"""Turns PagerDuty's events into commands.

An acknowledge and a resolve carry only the routing key and the dedup key, so these are the identity. The
payload's source, component, group and class are labels. The routing key is a secret: only its hash is kept.
"""

import hashlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
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


def _details(context: Mapping[str, Any], custom: Any) -> dict[str, Any]:
    """Return the parts of the context, then of the custom details, that fit, and count those left out."""
    details: dict[str, Any] = {}
    size, left_out = len('{"details_left_out":9999999}'), 0
    for path, value in _parts(context, custom):
        needed = _size(path, value)
        if needed is None or size + needed > bounds.DETAILS_BYTES:
            left_out += 1
            continue
        size += needed
        inner = details
        for name in path[:-1]:
            inner = inner.setdefault(name, {})
        inner[path[-1]] = value
    return details | ({"details_left_out": left_out} if left_out else {})


def _parts(context: Mapping[str, Any], custom: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, value in context.items():
        yield (name,), value
    if isinstance(custom, dict):
        for name, value in custom.items():
            yield ("custom_details", name), value
    elif custom is not None:
        yield ("custom_details",), custom


def _size(path: tuple[str, ...], value: Any) -> int | None:
    """Return how many bytes of JSON the value takes at most; None: it cannot be stored."""
    nested = value
    for name in reversed(path):
        nested = {name: nested}
    try:
        bounds.check_details(nested)
    except InvalidInput:
        return None
    return len(msgspec.json.encode(nested)) + 1

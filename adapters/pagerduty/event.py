"""Reads an event of PagerDuty's Events API v2 and, as PagerDuty does, reports all its errors at once."""

import re
from collections.abc import Mapping
from typing import Literal, TypeVar

import msgspec

from core.alarm.alarm import Severity
from core.errors import InvalidEvent

EVENT_BYTES = 512 * 1024
DEDUP_KEY_LENGTH = 255

Action = Literal["trigger", "acknowledge", "resolve"]
ACTIONS: dict[str, Action] = {"trigger": "trigger", "acknowledge": "acknowledge", "resolve": "resolve"}
SEVERITIES: dict[str, Severity] = {
    "critical": "critical",
    "error": "major",
    "warning": "warning",
    "info": "indeterminate",
}

T = TypeVar("T")

_LABELS = ("source", "component", "group", "class")
_CONTEXT = ("client", "client_url", "links", "images")
_NOTHING = (b"null", b"false", b"0", b'""', b"[]", b"{}")
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
_string = msgspec.json.Decoder(str)
_ROUTING_KEY = re.compile(r"[\x21-\x7e]{1,128}")


class Payload(msgspec.Struct, frozen=True):
    """A trigger's payload. `labels` holds source, component, group and class, where present.

    `custom_details` is JSON, since decoding half a megabyte of small values would block the event loop.
    """

    summary: str
    severity: Severity
    timestamp: str
    labels: dict[str, str]
    custom_details: msgspec.Raw | None


class PagerDutyEvent(msgspec.Struct, frozen=True):
    """One event. A trigger may have an empty `dedup_key`; only a trigger has a `payload`.

    `context` holds links, images, client and client_url, where present, as JSON.
    """

    routing_key: str
    action: Action
    dedup_key: str
    payload: Payload | None
    context: dict[str, msgspec.Raw]


def read_event(body: bytes) -> PagerDutyEvent:
    """Read an event, ignoring fields that are not needed. Raises InvalidEvent."""
    if len(body) > EVENT_BYTES:
        raise InvalidEvent([f"the event is larger than {EVENT_BYTES // 1024} KB"])
    try:
        event = _fields.decode(body)
    except msgspec.ValidationError:
        raise InvalidEvent(["the event is not a JSON object"]) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidEvent([f"JSON cannot be parsed: {error}"]) from None
    return _event(event)


def _event(event: Mapping[str, msgspec.Raw]) -> PagerDutyEvent:
    errors: list[str] = []
    routing_key = _text(event, "routing_key", errors)
    if routing_key and not _ROUTING_KEY.fullmatch(routing_key):
        errors.append("'routing_key' is invalid")
    action = _one_of(event, "event_action", ACTIONS, errors)
    dedup_key = _dedup_key(event, action, errors)
    payload = _payload(event.get("payload"), errors) if action == "trigger" else None
    if errors or action is None:
        raise InvalidEvent(errors)
    context = {name: event[name] for name in _CONTEXT if _is_given(event.get(name))}
    return PagerDutyEvent(routing_key, action, dedup_key, payload, context)


def _payload(raw: msgspec.Raw | None, errors: list[str]) -> Payload | None:
    try:
        payload = _fields.decode(raw or b"null")
    except msgspec.ValidationError:
        errors.append("'payload' is missing or not an object")
        return None
    summary = _text(payload, "summary", errors, "payload.")
    _text(payload, "source", errors, "payload.")
    severity = _one_of(payload, "severity", SEVERITIES, errors, "payload.")
    if errors or severity is None:
        return None
    labels = {name: _plain(payload.get(name)) for name in _LABELS}
    details = payload.get("custom_details")
    return Payload(
        summary=summary,
        severity=severity,
        timestamp=_plain(payload.get("timestamp")) or "",
        labels={name: value for name, value in labels.items() if value},
        custom_details=None if details is None or bytes(details) == b"null" else details,
    )


def _plain(raw: msgspec.Raw | None) -> str | None:
    """Return a text; None: there is none, or something else."""
    try:
        return None if raw is None else _string.decode(raw)
    except msgspec.ValidationError:
        return None


def _is_given(raw: msgspec.Raw | None) -> bool:
    return raw is not None and bytes(raw) not in _NOTHING


def _dedup_key(event: Mapping[str, msgspec.Raw], action: Action | None, errors: list[str]) -> str:
    raw = event.get("dedup_key")
    key = _plain(raw)
    if not key:
        if raw is not None and bytes(raw) not in (b"null", b'""'):
            errors.append("'dedup_key' is not a text")
        elif action in ("acknowledge", "resolve"):
            errors.append("'dedup_key' is missing or blank")
        return ""
    if len(key) > DEDUP_KEY_LENGTH:
        errors.append(f"'dedup_key' is too long (at most {DEDUP_KEY_LENGTH} characters)")
    return key


def _text(fields: Mapping[str, msgspec.Raw], name: str, errors: list[str], within: str = "") -> str:
    value = _plain(fields.get(name))
    if value is not None and value.strip():
        return value
    errors.append(f"'{within}{name}' is missing or blank")
    return ""


def _one_of(
    fields: Mapping[str, msgspec.Raw], name: str, known: Mapping[str, T], errors: list[str], within: str = ""
) -> T | None:
    value = _plain(fields.get(name))
    if value is not None and value in known:
        return known[value]
    choices = ", ".join(f"'{each}'" for each in known)
    errors.append(f"'{within}{name}' is missing or invalid (must be one of {choices})")
    return None

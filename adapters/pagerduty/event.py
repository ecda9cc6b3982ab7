"""An event of PagerDuty's Events API v2, read as PagerDuty reads it: all that is wrong is told at once."""

import re
from collections.abc import Mapping
from typing import Any, Literal, TypeVar

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
_ROUTING_KEY = re.compile(r"[\x21-\x7e]{1,128}")


class Payload(msgspec.Struct, frozen=True):
    """What a trigger says. `labels`: source, component, group and class, as far as they are told."""

    summary: str
    severity: Severity
    timestamp: str
    labels: dict[str, str]
    custom_details: Any


class PagerDutyEvent(msgspec.Struct, frozen=True):
    """One event; `dedup_key` is empty where a trigger has none, `payload` is a trigger's alone.

    `context`: links, images, client and client_url, as far as they are told.
    """

    routing_key: str
    action: Action
    dedup_key: str
    payload: Payload | None
    context: dict[str, Any]


def read_event(body: bytes) -> PagerDutyEvent:
    """Read an event; what is not needed is ignored. Raises InvalidEvent."""
    if len(body) > EVENT_BYTES:
        raise InvalidEvent([f"the event is larger than {EVENT_BYTES // 1024} KB"])
    try:
        event = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidEvent([f"JSON cannot be parsed: {error}"]) from None
    if not isinstance(event, dict):
        raise InvalidEvent(["the event is not a JSON object"])
    return _event(event)


def _event(event: dict[str, Any]) -> PagerDutyEvent:
    errors: list[str] = []
    routing_key = _text(event, "routing_key", errors)
    if routing_key and not _ROUTING_KEY.fullmatch(routing_key):
        errors.append("'routing_key' is invalid")
    action = _one_of(event, "event_action", ACTIONS, errors)
    dedup_key = _dedup_key(event, action, errors)
    payload = _payload(event.get("payload"), errors) if action == "trigger" else None
    if errors or action is None:
        raise InvalidEvent(errors)
    context = {name: event[name] for name in _CONTEXT if event.get(name)}
    return PagerDutyEvent(routing_key, action, dedup_key, payload, context)


def _payload(payload: Any, errors: list[str]) -> Payload | None:
    if not isinstance(payload, dict):
        errors.append("'payload' is missing or no object")
        return None
    summary = _text(payload, "summary", errors, "payload.")
    _text(payload, "source", errors, "payload.")
    severity = _one_of(payload, "severity", SEVERITIES, errors, "payload.")
    if errors or severity is None:
        return None
    labels = {name: payload[name] for name in _LABELS if payload.get(name)}
    return Payload(
        summary=summary,
        severity=severity,
        timestamp=str(payload.get("timestamp") or ""),
        labels={name: value for name, value in labels.items() if isinstance(value, str)},
        custom_details=payload.get("custom_details"),
    )


def _dedup_key(event: Mapping[str, Any], action: Action | None, errors: list[str]) -> str:
    key = event.get("dedup_key")
    if key is None or key == "":
        if action in ("acknowledge", "resolve"):
            errors.append("'dedup_key' is missing or blank")
        return ""
    if not isinstance(key, str):
        errors.append("'dedup_key' is no text")
        return ""
    if len(key) > DEDUP_KEY_LENGTH:
        errors.append(f"'dedup_key' is too long (at most {DEDUP_KEY_LENGTH} characters)")
    return key


def _text(fields: Mapping[str, Any], name: str, errors: list[str], within: str = "") -> str:
    value = fields.get(name)
    if isinstance(value, str) and value.strip():
        return value
    errors.append(f"'{within}{name}' is missing or blank")
    return ""


def _one_of(
    fields: Mapping[str, Any], name: str, known: Mapping[str, T], errors: list[str], within: str = ""
) -> T | None:
    value = fields.get(name)
    if isinstance(value, str) and value in known:
        return known[value]
    told = ", ".join(f"'{each}'" for each in known)
    errors.append(f"'{within}{name}' is missing or invalid (must be one of {told})")
    return None

"""What is sent: CloudEvents 1.0, Slack's incoming webhooks, PagerDuty Events v2."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec

from core.alarm.alarm import Alarm, Severity
from core.alarm.events import Event
from core.outbox.webhook import Format, Webhook

SEQUENCE_DIGITS = 19
"""A position is a 64-bit integer; padded, its texts are in the same order as the numbers."""
SUMMARY_LENGTH = 1024
"""The longest summary that PagerDuty takes."""
SLACK_TEXT_LENGTH = 3_000

CONTENT_TYPES: dict[Format, str] = {
    "cloudevents": "application/cloudevents+json",
    "slack": "application/json",
    "pagerduty": "application/json",
}

Action = Literal["trigger", "acknowledge", "resolve"]

_NOTES = frozenset({"alarm.commented", "alarm.assigned", "alarm.unassigned"})
_OUT_OF_SIGHT = frozenset({"shelved", "suppressed", "out_of_service"})
_PAGERDUTY_SEVERITY: dict[Severity, str] = {
    "critical": "critical",
    "major": "error",
    "minor": "warning",
    "warning": "warning",
    "indeterminate": "info",
}
_encode = msgspec.json.Encoder().encode


def render(wanted: Format, event: Event, *, left: bool) -> bytes | None:
    """Return the body for an event, None where the format has nothing to say about it.

    `left`: the alarm is not the webhook's any more. The body depends on nothing else, so that whoever renders
    it gets the same bytes.
    """
    match wanted:
        case "cloudevents":
            return _cloud_event(event, left=left)
        case "slack":
            return _slack(event, left=left)
        case "pagerduty":
            return _pagerduty(event, left=left)


def test_body(webhook: Webhook, event_id: str, now: datetime) -> bytes:
    """Return the body of a test: it is of no alarm, and pages nobody."""
    text = "This is a test of a webhook of Tocsin."
    match webhook.format:
        case "cloudevents":
            return _encode(
                {
                    "specversion": "1.0",
                    "id": event_id,
                    "source": source_of(webhook.tenant),
                    "type": "webhook.test",
                    "subject": webhook.id,
                    "time": now,
                    "datacontenttype": "application/json",
                    "data": {"text": text},
                }
            )
        case "slack":
            return _encode({"text": text})
        case "pagerduty":
            # Resolving what was never triggered proves the address and the routing key.
            return _encode({"event_action": "resolve", "dedup_key": f"tocsin-test-{webhook.id}"})


def sealed(webhook: Webhook, body: bytes) -> bytes:
    """Return the body with what only the receiver may see; it is not kept in the outbox."""
    if webhook.format != "pagerduty":
        return body
    return b'{"routing_key":%b,%b' % (_encode(webhook.routing_key), body[1:])


def source_of(tenant: str) -> str:
    """Return the CloudEvents `source` of a tenant's events, a URI reference."""
    plain = "".join(
        c if c.isascii() and (c.isalnum() or c in "-._~") else "".join(f"%{b:02X}" for b in c.encode())
        for c in tenant
    )
    return f"/tocsin/{plain}"


def _cloud_event(event: Event, *, left: bool) -> bytes:
    data: dict[str, Any] = {
        "position": event.position,
        "revision": event.revision,
        "actor": event.actor,
        "data": event.data,
        "alarm": event.alarm,
    }
    if left:
        data["left"] = True
    trace: Mapping[str, str] = {} if event.trace is None else {"traceparent": event.trace}
    return _encode(
        {
            "specversion": "1.0",
            "id": event.event_id,
            "source": source_of(event.tenant),
            "type": event.type,
            "subject": event.stream,
            "time": event.occurred_at,
            "datacontenttype": "application/json",
            "sequence": f"{event.position:0{SEQUENCE_DIGITS}}",
            "recordedtime": event.at,
            **trace,
            "data": data,
        }
    )


def _slack(event: Event, *, left: bool) -> bytes | None:
    """Return `{"text": ...}`, with what Slack would take for its markup escaped."""
    alarm = event.alarm
    if not alarm.annunciate:
        return None
    verb = "no longer matches" if left else event.type.removeprefix("alarm.").replace("_", " ")
    name = " ".join(part for part in (alarm.source, alarm.type, alarm.qualifier) if part)
    parts = [f"[{alarm.severity.upper()}] {name}: {verb}", alarm.text]
    if event.type == "alarm.commented":
        parts[1] = str(event.data.get("text", ""))
    if event.actor.kind == "operator":
        parts[0] += f" by {event.actor.id}"
    text = "\n".join(part for part in parts if part)[:SLACK_TEXT_LENGTH]
    return _encode({"text": text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")})


def _pagerduty(event: Event, *, left: bool) -> bytes | None:
    """Return what brings the incident to where the alarm is; notes change nothing about that."""
    alarm = event.alarm
    if event.type in _NOTES:
        return None
    action = "resolve" if left else incident_action(alarm)
    body: dict[str, Any] = {"event_action": action, "dedup_key": alarm.id}
    if action == "trigger":
        summary = (
            f"{alarm.source} {alarm.type}: {alarm.text}" if alarm.text else f"{alarm.source} {alarm.type}"
        )
        body["payload"] = {
            "summary": summary[:SUMMARY_LENGTH],
            "source": alarm.source,
            "severity": _PAGERDUTY_SEVERITY[alarm.severity],
            "timestamp": event.occurred_at,
            "component": alarm.qualifier,
            "class": alarm.type,
            "custom_details": {"labels": alarm.labels, "details": alarm.details, "position": event.position},
        }
    return _encode(body)


def incident_action(alarm: Alarm) -> Action:
    """Return what an incident of the alarm as it stands needs: nobody is called to what is out of sight."""
    if not alarm.active or not alarm.annunciate or alarm.state in _OUT_OF_SIGHT:
        return "resolve"
    return "acknowledge" if alarm.acked else "trigger"

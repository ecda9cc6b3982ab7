"""PagerDuty Events v2: each alarm is an incident."""

from datetime import datetime
from typing import Any, ClassVar, Literal

import msgspec

from core.alarm.alarm import Alarm, Severity
from core.alarm.events import Event
from core.outbox.webhook import FormatTraits, Webhook

SUMMARY_LENGTH = 1024
"""The longest summary that PagerDuty takes."""

Action = Literal["trigger", "acknowledge", "resolve"]

_NOTES = frozenset({"alarm.commented", "alarm.assigned", "alarm.unassigned"})
_OUT_OF_SIGHT = frozenset({"shelved", "suppressed", "out_of_service"})
_SEVERITY: dict[Severity, str] = {
    "critical": "critical",
    "major": "error",
    "minor": "warning",
    "warning": "warning",
    "indeterminate": "info",
}
_encode = msgspec.json.Encoder().encode


class PagerDuty:
    """The format `pagerduty` (see core.outbox.ports.WebhookFormat)."""

    traits: ClassVar = FormatTraits(content_type="application/json", takes_routing_key=True, stateful=True)

    def render(self, event: Event, *, left: bool) -> bytes | None:
        """Return what brings the incident in line with the alarm; None for notes, which change nothing."""
        if event.type in _NOTES:
            return None
        action = "resolve" if left else incident_action(event.alarm)
        body: dict[str, Any] = {"event_action": action, "dedup_key": event.alarm.id}
        if action == "trigger":
            body["payload"] = _payload(event)
        return _encode(body)

    def test_body(self, webhook: Webhook, event_id: str, now: datetime) -> bytes:  # noqa: ARG002
        """Return a resolve of an incident that never began: it tests the address and the routing key."""
        return _encode({"event_action": "resolve", "dedup_key": f"tocsin-test-{webhook.id}"})

    def sealed(self, webhook: Webhook, body: bytes) -> bytes:
        """Return the body with the routing key, which the outbox does not keep."""
        return b'{"routing_key":%b,%b' % (_encode(webhook.routing_key), body[1:])


def incident_action(alarm: Alarm) -> Action:
    """Return the action for the alarm's incident: an alarm out of sight calls nobody."""
    if not alarm.active or not alarm.annunciate or alarm.state in _OUT_OF_SIGHT:
        return "resolve"
    return "acknowledge" if alarm.acked else "trigger"


def _payload(event: Event) -> dict[str, Any]:
    alarm = event.alarm
    summary = f"{alarm.source} {alarm.type}: {alarm.text}" if alarm.text else f"{alarm.source} {alarm.type}"
    return {
        "summary": summary[:SUMMARY_LENGTH],
        "source": alarm.source,
        "severity": _SEVERITY[alarm.severity],
        "timestamp": event.occurred_at,
        "component": alarm.qualifier,
        "class": alarm.type,
        "custom_details": {"labels": alarm.labels, "details": alarm.details, "position": event.position},
    }

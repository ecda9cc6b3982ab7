"""Slack's incoming webhooks: one text for people."""

from datetime import datetime
from typing import ClassVar

import msgspec

from core.alarm.events import Event
from core.outbox.webhook import TEST_TEXT, FormatTraits, Webhook

TEXT_LENGTH = 3_000

_encode = msgspec.json.Encoder().encode


class Slack:
    """The format `slack` (see core.outbox.ports.WebhookFormat)."""

    traits: ClassVar = FormatTraits(content_type="application/json")

    def render(self, event: Event, *, left: bool) -> bytes | None:
        """Return `{"text": ...}`, with Slack's markup characters escaped."""
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
        text = "\n".join(part for part in parts if part)[:TEXT_LENGTH]
        return _encode({"text": text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")})

    def test_body(self, webhook: Webhook, event_id: str, now: datetime) -> bytes:  # noqa: ARG002
        """Return the text of a test."""
        return _encode({"text": TEST_TEXT})

    def sealed(self, webhook: Webhook, body: bytes) -> bytes:  # noqa: ARG002 (the URL is the secret)
        """Return the body as it is."""
        return body

"""CloudEvents 1.0 as structured JSON: the whole event, for programs."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

import msgspec

from core.alarm.events import Event
from core.outbox.webhook import TEST_TEXT, FormatTraits, Webhook

SEQUENCE_DIGITS = 19
"""A position is a 64-bit integer; padded, positions sort as texts."""

_encode = msgspec.json.Encoder().encode


class CloudEvents:
    """The format `cloudevents` (see core.outbox.ports.WebhookFormat)."""

    traits: ClassVar = FormatTraits(content_type="application/cloudevents+json", signed=True)

    def render(self, event: Event, *, left: bool) -> bytes | None:
        """Return the event with its alarm as the event left it."""
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

    def test_body(self, webhook: Webhook, event_id: str, now: datetime) -> bytes:
        """Return an event of the type `webhook.test`."""
        return _encode(
            {
                "specversion": "1.0",
                "id": event_id,
                "source": source_of(webhook.tenant),
                "type": "webhook.test",
                "subject": webhook.id,
                "time": now,
                "datacontenttype": "application/json",
                "data": {"text": TEST_TEXT},
            }
        )

    def sealed(self, webhook: Webhook, body: bytes) -> bytes:  # noqa: ARG002 (it has nothing to seal)
        """Return the body as it is: the signature goes in a header."""
        return body


def source_of(tenant: str) -> str:
    """Return the CloudEvents `source` of a tenant's events, a URI reference."""
    plain = "".join(
        c if c.isascii() and (c.isalnum() or c in "-._~") else "".join(f"%{b:02X}" for b in c.encode())
        for c in tenant
    )
    return f"/tocsin/{plain}"

"""Webhooks and rows to test with."""

from datetime import UTC, datetime, timedelta
from typing import Any

from core.lists.filter import Filter
from core.outbox.row import Row
from core.outbox.webhook import Webhook, secret_of

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
AGES = timedelta(days=3_650)
"""For how long rows may be pending where a test's rows were routed at NOON and its clock is the machine's."""
SECRET = secret_of(bytes(range(32)))


def webhook(name: str = "hook", **fields: Any) -> Webhook:
    """A webhook that is signed for, made at noon."""
    usual: dict[str, Any] = {"tenant": "default", "url": "http://127.0.0.1:9/", "created_at": NOON}
    if fields.get("format", "cloudevents") == "cloudevents":
        usual["secrets"] = (SECRET,)
    return Webhook(id=name, **{**usual, "filter": Filter(), **fields})


def row(position: int, alarm: str = "a", hook: str = "hook", **fields: Any) -> Row:
    """A row that was routed at noon and is pending."""
    usual: dict[str, Any] = {
        "tenant": "default",
        "event_id": f"event-{position}",
        "type": "alarm.raised",
        "body": b'{"n":%d}' % position,
        "routed_at": NOON,
        "next_at": NOON,
    }
    return Row(position=position, webhook=hook, alarm_id=alarm, **{**usual, **fields})

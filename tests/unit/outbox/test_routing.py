"""Which webhooks an event is for."""

from datetime import datetime

from core.alarm.events import Event
from core.lists.filter import Filter
from core.outbox.ports import Formats
from core.outbox.routing import WebhookRoutes
from core.outbox.webhook import FormatTraits, Webhook
from tests.kit.history import History
from tests.kit.outgoing import NOON, webhook


class Positions:
    """A format whose body is the event's position; of what is out of a webhook's filter it says nothing."""

    traits = FormatTraits(content_type="text/plain")

    def render(self, event: Event, *, left: bool) -> bytes | None:
        return None if left else b"%d" % event.position

    def test_body(self, webhook: Webhook, event_id: str, now: datetime) -> bytes:
        return b""

    def sealed(self, webhook: Webhook, body: bytes) -> bytes:
        return body


FORMATS: Formats = {"cloudevents": Positions()}


def test_events_are_routed_to_the_webhooks_of_their_tenant_that_they_match() -> None:
    history = History()
    for source in ("line/1", "tank/1"):
        history.raised(source)
    routes = WebhookRoutes(
        [
            webhook("all"),
            webhook("lines", filter=Filter(sources=frozenset({"line/*"}))),
            webhook("late", after=1),
            webhook("other", tenant="other"),
        ],
        FORMATS,
    )
    rows = routes.rows(history.events, NOON)
    assert [row.id for row in rows] == ["1:all", "1:lines", "2:all", "2:late"]
    assert {row.state for row in rows} == {"pending"}

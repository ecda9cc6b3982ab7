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


class Broken(Positions):
    """A format that fails at one event."""

    def render(self, event: Event, *, left: bool) -> bytes | None:
        if event.position == 1:
            raise ZeroDivisionError("a bug")
        return super().render(event, left=left)


def test_an_event_that_a_format_cannot_render_is_a_dead_row_and_harms_no_other_webhook() -> None:
    history = History()
    for source in ("line/1", "tank/1"):
        history.raised(source)
    formats: Formats = {"cloudevents": Broken(), "slack": Positions()}
    rows = WebhookRoutes([webhook("bad"), webhook("good", format="slack")], formats).rows(
        history.events, NOON
    )
    assert [(row.id, row.state, row.body) for row in rows] == [
        ("1:bad", "dead", b""),
        ("1:good", "pending", b"1"),
        ("2:bad", "pending", b"2"),
        ("2:good", "pending", b"2"),
    ]
    assert rows[0].error == "its event could not be rendered: ZeroDivisionError: a bug"
    assert (rows[0].settled_at, rows[0].unrendered, rows[1].unrendered) == (NOON, True, False)

"""Which webhooks an event is for."""

from core.lists.filter import Filter
from core.outbox.routing import Routes
from tests.kit.history import History
from tests.kit.outgoing import NOON, webhook


def test_events_are_routed_to_the_webhooks_of_their_tenant_that_they_match() -> None:
    history = History()
    for source in ("line/1", "tank/1"):
        history.raised(source)
    routes = Routes(
        [
            webhook("all"),
            webhook("lines", filter=Filter(sources=frozenset({"line/*"}))),
            webhook("late", after=1),
            webhook("other", tenant="other"),
        ]
    )
    rows = routes.rows(history.events, NOON)
    assert [row.id for row in rows] == ["1:all", "1:lines", "2:all", "2:late"]
    assert {row.state for row in rows} == {"pending"}

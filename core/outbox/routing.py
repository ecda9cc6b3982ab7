"""Routes events to the webhooks that they match."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from msgspec.structs import replace

from core.alarm.events import Event
from core.lists.filter import Matcher
from core.log.folding import check_known
from core.outbox.ports import Formats
from core.outbox.row import ERROR_LENGTH, UNRENDERED, Row
from core.outbox.webhook import Format, Webhook


class WebhookRoutes:
    """Webhooks prepared for matching many events."""

    def __init__(self, webhooks: Iterable[Webhook], formats: Formats) -> None:
        self._formats = formats
        self._by_tenant: dict[str, list[tuple[Webhook, Matcher]]] = {}
        for webhook in webhooks:
            self._by_tenant.setdefault(webhook.tenant, []).append((webhook, Matcher(webhook.filter)))

    def __bool__(self) -> bool:
        return bool(self._by_tenant)

    def rows(self, events: Sequence[Event], now: datetime) -> list[Row]:
        """Return one row for each event and each webhook that it matches, in order of position.

        Raises:
            UnknownEvent: a newer version wrote one of the events.
        """
        return [row for event in events for row in self._rows(event, now)]

    def _rows(self, event: Event, now: datetime) -> Iterable[Row]:
        check_known(event)
        bodies: dict[tuple[Format, bool], bytes | None] = {}
        for webhook, matcher in self._by_tenant.get(event.tenant, ()):
            if event.position <= webhook.after:
                continue
            verdict = matcher.verdict(event)
            if verdict == "no":
                continue
            kind = (webhook.format, verdict == "left")
            try:
                if kind not in bodies:
                    bodies[kind] = self._formats[webhook.format].render(event, left=verdict == "left")
            except Exception as error:  # noqa: BLE001 (the row says it; other webhooks must get the event)
                yield _unrendered(_row(event, webhook, b"", now), error, now)
                continue
            body = bodies[kind]
            if body is not None:
                yield _row(event, webhook, body, now)


def _unrendered(row: Row, error: Exception, now: datetime) -> Row:
    """Return the row as dead: it has no body, and never gets one."""
    reason = f"{UNRENDERED}: {type(error).__name__}: {error}"[:ERROR_LENGTH]
    return replace(row, state="dead", settled_at=now, error=reason)


def _row(event: Event, webhook: Webhook, body: bytes, now: datetime) -> Row:
    return Row(
        position=event.position,
        webhook=webhook.id,
        tenant=event.tenant,
        alarm_id=event.stream,
        event_id=event.event_id,
        type=event.type,
        body=body,
        trace=event.trace,
        routed_at=now,
        next_at=now,
    )

"""Delivery under test: histories with labels, clients that check what they are sent, a naive filter."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec

from core.access.callers import Caller
from core.alarm.alarm import SEVERITY_RANK, Alarm, Identity, Severity
from core.alarm.condition import Clear, Raise
from core.alarm.context import Context
from core.alarm.events import Actor, Event
from core.alarm.responses import Acknowledge
from core.delivery.delivery import Delivery
from core.delivery.encodings.encoding import Encoding
from core.delivery.encodings.json import JSON
from core.delivery.limits import Limits
from core.delivery.protocol import (
    Close,
    ErrorMessage,
    EventMessage,
    EventsMessage,
    PositionMessage,
    ResetMessage,
    ServerMessage,
    SnapshotMessage,
    Subscribe,
    Subscribed,
)
from core.delivery.session import Session
from core.lists.filter import Filter
from tests.kit.history import History

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Plant(History):
    """A log of alarms with labels, of more than one tenant, from position 1."""

    def reported(
        self,
        source: str,
        severity: Severity = "major",
        *,
        type: str = "pressure",  # noqa: A002 (the field's own name)
        labels: dict[str, str] | None = None,
        text: str = "",
        tenant: str = "default",
    ) -> Event:
        """Raise or update the alarm; a repeat that would change nothing gets a new text."""
        identity = Identity(tenant, source, type)
        for tried in (text, f"{text}#{self.commands}"):
            event = self.add(
                Raise(
                    context=self._of("source", tenant),
                    identity=identity,
                    severity=severity,
                    text=tried,
                    labels=labels or {},
                )
            )
            if event is not None:
                return event
        raise AssertionError("a new text is a change")

    def ended(self, alarm: Alarm) -> Event | None:
        """Clear the alarm, or acknowledge it if it is clear."""
        context = self._of("operator", alarm.tenant)
        if alarm.active:
            return self.add(Clear(context=context, alarm_id=alarm.id))
        return self.add(Acknowledge(context=context, alarm_id=alarm.id, revision=alarm.revision))

    def _of(self, kind: Any, tenant: str) -> Context:
        context = self._context(kind)
        return msgspec.structs.replace(context, tenant=tenant, actor=Actor("someone", kind))


def naive_match(wanted: Filter, severity: Severity, alarm: Alarm, labels: dict[str, str]) -> bool:
    """Tell the long way whether an alarm is the filter's."""
    places = [
        alarm.source == source or (source[-2:] == "/*" and alarm.source[: len(source) - 1] == source[:-1])
        for source in wanted.sources
    ]
    return (
        (not places or any(places))
        and (not wanted.types or alarm.type in wanted.types)
        and (not wanted.alarm_ids or alarm.id in wanted.alarm_ids)
        and (wanted.min_severity is None or SEVERITY_RANK[severity] >= SEVERITY_RANK[wanted.min_severity])
        and all(labels.get(key) == value for key, value in wanted.labels.items())
    )


def naive_verdicts(wanted: Filter, tenant: str, events: list[Event]) -> dict[int, bool]:
    """Fold the log; return the positions of the events that match, and whether the alarm left with them."""
    before: dict[str, bool] = {}
    found: dict[int, bool] = {}
    for event in events:
        alarm = event.alarm
        after = alarm.tenant == tenant and naive_match(wanted, alarm.severity, alarm, alarm.labels)
        if after or before.get(alarm.id, False):
            found[event.position] = not after
        before[alarm.id] = after
    return found


@dataclass
class Received:
    """What a client knows of one of its subscriptions."""

    id: str
    filter: Filter
    tenant: str
    conflate: bool = False
    position: int = -1
    events: list[EventMessage] = field(default_factory=list)
    rows: dict[str, tuple[int, Alarm | None]] = field(default_factory=dict)
    snapshot: bool = False
    whole: bool = False
    live: bool = False
    over: str | None = None

    def take(self, message: ServerMessage, log: list[Event]) -> None:
        """Take a message, and check it against the whole log."""
        match message:
            case Subscribed():
                self.position = message.position
                self.live = not self.snapshot
            case SnapshotMessage():
                self._rows(message)
            case EventsMessage():
                self._events(message, log)
            case PositionMessage():
                assert self.live
                self._nothing_missed([], message.position, log)
            case ResetMessage():
                self.over = message.reason
            case ErrorMessage():
                self.over = message.code
            case _:
                raise AssertionError(f"not for a subscription: {message}")

    def end(self) -> None:
        """The client has unsubscribed: answers may still be under way, events may not."""
        self.over = "unsubscribed"

    def settled(self, log: list[Event]) -> None:
        """Check that nothing is missing at the log's end."""
        if not self.live or self.over:
            return
        self._nothing_missed([], max(self.position, len(log)), log)
        if self.whole:
            self._same_list(log)

    def _rows(self, message: SnapshotMessage) -> None:
        assert not self.live
        # Scans that start over may go back, never forward past what was promised.
        self.position = min(self.position, message.position)
        for alarm in message.alarms:
            self.rows[alarm.id] = (alarm.position, alarm)
        if message.done:
            assert message.position == self.position
            self.live = self.whole = True

    def _events(self, message: EventsMessage, log: list[Event]) -> None:
        assert self.live, "events before the subscription began"
        assert not self.over, "events after the end"
        positions = [event.position for event in message.events]
        assert positions, "an empty frame"
        assert positions == sorted(set(positions))
        assert positions[0] > self.position, "a repeat"
        assert positions[-1] <= message.position
        verdicts = naive_verdicts(self.filter, self.tenant, log)
        for event in message.events:
            original = log[event.position - 1]
            assert event.event_id == original.event_id
            assert event.alarm == original.alarm
            assert event.left == verdicts[event.position]
            self._apply(event)
        self._nothing_missed(positions, message.position, log)
        self.events.extend(message.events)

    def _nothing_missed(self, got: list[int], to: int, log: list[Event]) -> None:
        verdicts = naive_verdicts(self.filter, self.tenant, log)
        due = [position for position in verdicts if self.position < position <= to]
        if self.conflate:
            newest = {log[position - 1].stream: position for position in verdicts}
            due = [place for place in due if place in got or newest[log[place - 1].stream] == place]
        assert got == due, f"got {got}, due {due} up to {to}"
        assert to >= self.position
        self.position = to

    def _apply(self, event: EventMessage) -> None:
        known = self.rows.get(event.alarm.id)
        if known is None or known[0] < event.position:
            self.rows[event.alarm.id] = (event.position, None if event.left else event.alarm)

    def _same_list(self, log: list[Event]) -> None:
        """Compare what the client shows with what the log says, leaving out normal alarms."""
        newest = {event.stream: event.alarm for event in log if event.tenant == self.tenant}
        expected = {
            alarm.id: alarm.position
            for alarm in newest.values()
            if alarm.state != "normal" and naive_match(self.filter, alarm.severity, alarm, alarm.labels)
        }
        shown = {
            alarm.id: alarm.position
            for _, alarm in self.rows.values()
            if alarm is not None and alarm.state != "normal"
        }
        assert shown == expected


class Client:
    """A client of a delivery, without a socket in between."""

    def __init__(
        self, delivery: "Delivery[Client]", caller: Caller | None, encoding: Encoding = JSON
    ) -> None:
        self.encoding = encoding
        self.session: Session[Client] = delivery.connect(encoding, self, NOW, caller)
        self.stalled = False
        self.messages: list[ServerMessage] = []
        self.closed: Close | None = None
        self.received: dict[str, Received] = {}

    def take(self, payload: bytes | Close, log: list[Event]) -> None:
        """Take what the delivery sends, and check it."""
        assert self.closed is None, "something after the close"
        if isinstance(payload, Close):
            self.closed = payload
            return
        message = decode(payload)
        self.messages.append(message)
        name = getattr(message, "id", None)
        if name in self.received:
            self.received[name].take(message, log)


def reader(tenant: str) -> Caller:
    """Return somebody who may follow the tenant's alarms for ever."""
    return Caller(tenant=tenant, subject="anonymous", roles=frozenset({"viewer"}))


def decode(frame: bytes) -> ServerMessage:
    """Decode what a server sent, strictly: one whole message in one WebSocket frame."""
    opcode, length, start = frame[0] & 0x0F, frame[1], 2
    if length > 125:
        start = 4 if length == 126 else 10
        length = int.from_bytes(frame[2:start], "big")
    assert frame[0] & 0xF0 == 0x80
    assert len(frame) == start + length
    message: ServerMessage
    if opcode == 1:
        message = msgspec.json.decode(frame[start:], type=ServerMessage)
    else:
        message = msgspec.msgpack.decode(frame[start:], type=ServerMessage)
    return message


class DeliveryStage:
    """A delivery, its clients and the log that they are compared with."""

    def __init__(self, ring_events: int = 10_000, position: int = 0, limits: Limits | None = None) -> None:
        self.plant = Plant()
        self.delivery: Delivery[Client] = Delivery("log-1", position, ring_events=ring_events, limits=limits)

    def client(self, tenant: str = "default", encoding: Encoding = JSON) -> Client:
        """Connect a client."""
        return Client(self.delivery, reader(tenant), encoding)

    def subscribe(self, client: Client, name: str = "a", **wanted: Any) -> Received:
        """Subscribe, and let the client know what it is for."""
        message = Subscribe(id=name, **wanted)
        received = Received(
            name, message.filter, client.session.tenant, message.conflate, snapshot=message.snapshot
        )
        client.received[name] = received
        self.delivery.handle(client.session, message)
        return received

    def publish(self, *events: Event) -> None:
        """Hand events to the delivery."""
        self.delivery.publish(events)

    def pump(self, most: int = 1_000_000) -> int:
        """Send what is waiting, at most so much; a stalled client takes one message, and then no more."""
        sent = 0
        for outgoing in self.delivery.outgoing():
            sent += 1
            if outgoing is not None:
                session, payload = outgoing
                assert not session.busy
                session.peer.take(payload, self.plant.events)
                if session.peer.stalled:
                    self.delivery.busy(session)
            if sent >= most:
                break
        return sent

    def resume(self, client: Client) -> None:
        """Let the client take everything again."""
        client.stalled = False
        if client.session.busy:
            self.delivery.resumed(client.session)

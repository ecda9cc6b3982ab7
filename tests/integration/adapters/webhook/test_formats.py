"""An event as each kind of receiver is told of it."""

from typing import Any, get_args

import msgspec
import pytest

from adapters.webhook.formats.cloudevents import source_of
from adapters.webhook.formats.pagerduty import incident_action
from adapters.webhook.formats.registry import FORMATS
from core.alarm.alarm import Alarm, Identity
from core.alarm.condition import Raise
from core.alarm.context import Context
from core.alarm.decider import decide
from core.alarm.events import Actor, Event
from core.alarm.evolution import place
from core.outbox.webhook import Format
from tests.kit.history import History
from tests.kit.outgoing import NOON, webhook

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def raised(**fields: Any) -> Event:
    identity = Identity("default", fields.pop("source", "pump <7> & co"), "pressure")
    context = Context(event_id="e-1", tenant="default", actor=Actor("plc", "source"), now=NOON, trace=TRACE)
    command = Raise(context=context, identity=identity, severity="major", **fields)
    before = Alarm.absent(identity.alarm_id)
    event = decide(before, command)
    assert event is not None
    return place(before, event, 42, None)


def decoded(wanted: Format, event: Event, *, left: bool = False) -> dict[str, Any]:
    body = FORMATS[wanted].render(event, left=left)
    assert body is not None
    message: dict[str, Any] = msgspec.json.decode(body)
    return message


def test_a_cloud_event_has_what_the_specification_asks_for() -> None:
    event = raised(text="8.2 bar")
    message = decoded("cloudevents", event)
    data = message.pop("data")
    assert message == {
        "specversion": "1.0",
        "id": "e-1",
        "source": "/tocsin/default",
        "type": "alarm.raised",
        "subject": event.stream,
        "time": "2026-01-01T12:00:00Z",
        "recordedtime": "2026-01-01T12:00:00Z",
        "datacontenttype": "application/json",
        "sequence": "0000000000000000042",
        "traceparent": TRACE,
    }
    assert data["alarm"]["text"] == "8.2 bar"
    assert (data["position"], data["revision"]) == (42, 1)
    assert "left" not in data
    assert decoded("cloudevents", event, left=True)["data"]["left"] is True


def test_a_tenant_of_any_name_makes_a_source_that_is_a_uri_reference() -> None:
    assert source_of("a b/ü") == "/tocsin/a%20b%2F%C3%BC"


def test_slack_gets_a_text_in_which_nothing_is_its_markup() -> None:
    text = decoded("slack", raised(text="<!channel> & more"))["text"]
    assert text == "[MAJOR] pump &lt;7&gt; &amp; co pressure: raised\n&lt;!channel&gt; &amp; more"


@pytest.mark.parametrize("wanted", ["slack", "pagerduty"])
def test_an_alarm_that_is_not_annunciated_calls_nobody(wanted: Format) -> None:
    body = FORMATS[wanted].render(raised(annunciate=False), left=False)
    assert body is None or msgspec.json.decode(body)["event_action"] == "resolve"


def test_pagerduty_goes_by_what_the_alarm_is_now() -> None:
    history = History()
    history.raised("a", "critical")
    history.acknowledged("a")
    history.cleared("a")
    messages = [decoded("pagerduty", event) for event in history.events]
    assert [message["event_action"] for message in messages] == ["trigger", "acknowledge", "resolve"]
    assert {message["dedup_key"] for message in messages} == {history.alarm_id("a")}
    assert messages[0]["payload"]["severity"] == "critical"
    assert decoded("pagerduty", history.events[0], left=True)["event_action"] == "resolve"


@pytest.mark.parametrize("state", ["shelved", "suppressed", "out_of_service"])
def test_an_alarm_that_is_out_of_sight_has_no_incident(state: Any) -> None:
    alarm = msgspec.structs.replace(raised().alarm, state=state)
    assert incident_action(alarm) == "resolve"


def test_the_routing_key_is_only_in_what_is_sent() -> None:
    hook = webhook(format="pagerduty", routing_key='R"1')
    body = FORMATS["pagerduty"].render(raised(), left=False)
    assert body is not None
    assert b"routing_key" not in body
    assert msgspec.json.decode(FORMATS["pagerduty"].sealed(hook, body))["routing_key"] == 'R"1'
    assert msgspec.json.decode(FORMATS["pagerduty"].sealed(hook, body))["event_action"] == "trigger"


@pytest.mark.parametrize("wanted", get_args(Format))
def test_rendering_again_gives_the_same_bytes(wanted: Format) -> None:
    assert FORMATS[wanted].render(raised(), left=False) == FORMATS[wanted].render(raised(), left=False)
    assert FORMATS[wanted].test_body(webhook(format=wanted), "id", NOON)

"""PagerDuty's events: how they are read, and what alarm and command they are."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from adapters.pagerduty import commands
from adapters.pagerduty.commands import identity_of, raise_of, source_of, time_of
from adapters.pagerduty.event import EVENT_BYTES, PagerDutyEvent, read_event
from core.alarm import bounds
from core.alarm.alarm import Alarm, Severity
from core.alarm.condition import Raise
from core.alarm.decider import decide
from core.errors import InvalidEvent
from tests.kit.given import context

KEY = "R" * 32
PAYLOAD: dict[str, Any] = {"summary": "disk full", "source": "db-1", "severity": "critical"}
TRIGGER: dict[str, Any] = {
    "routing_key": KEY,
    "event_action": "trigger",
    "dedup_key": "disk/db-1",
    "payload": PAYLOAD,
}


def read(**changes: Any) -> PagerDutyEvent:
    told = {name: value for name, value in (TRIGGER | changes).items() if value is not ...}
    return read_event(json.dumps(told).encode())


def errors_of(**changes: Any) -> list[str]:
    with pytest.raises(InvalidEvent) as invalid:
        read(**changes)
    return invalid.value.errors


def raised(event: PagerDutyEvent) -> Raise:
    assert event.payload is not None
    identity = identity_of(event, event.dedup_key, "default")
    command = raise_of(identity, context(), event, event.payload)
    # Whatever was sent, it must be an alarm that can be stored.
    assert decide(Alarm.absent(identity.alarm_id), command) is not None
    return command


def test_a_trigger_is_a_raise() -> None:
    command = raised(read(payload=PAYLOAD | {"component": "disk", "group": "eu", "class": "space"}))
    assert (command.text, command.severity) == ("disk full", "critical")
    assert command.labels == {"source": "db-1", "component": "disk", "group": "eu", "class": "space"}
    assert command.details == {}


def test_the_two_keys_are_the_identity_whatever_the_payload_says() -> None:
    trigger, resolve = read(), read(event_action="resolve", payload=...)
    assert identity_of(trigger, "disk/db-1", "t") == identity_of(resolve, "disk/db-1", "t")
    assert identity_of(read(routing_key="S" * 32), "disk/db-1", "t") != identity_of(trigger, "disk/db-1", "t")
    assert identity_of(trigger, "other", "t") != identity_of(trigger, "disk/db-1", "t")


def test_the_ids_of_stored_alarms_are_a_contract() -> None:
    identity = identity_of(read(), "disk/db-1", "default")
    assert identity.source == "pagerduty/16b72cfab7dbca73cb348f4e59a74b5c"
    assert (identity.type, identity.qualifier) == ("event", "disk/db-1")


def test_the_routing_key_is_nowhere_in_the_clear() -> None:
    command = raised(read(client="monitor", links=[{"href": "http://a"}]))
    assert KEY not in str(command)
    assert KEY not in source_of(KEY)


@pytest.mark.parametrize("key", ["é" * 255, "\N{GRINNING FACE}" * 255, "a\0b", "a\nb", "\u2028"])
def test_any_dedup_key_is_an_identity(key: str) -> None:
    raised(read(dedup_key=key))


def test_dedup_keys_with_controls_stay_apart() -> None:
    keys = ["a\0b", "a\nb", "a b", "a\N{REPLACEMENT CHARACTER}b"]
    assert len({raised(read(dedup_key=key)).alarm_id for key in keys}) == len(keys)


SEVERITIES: list[tuple[str, Severity]] = [
    ("critical", "critical"),
    ("error", "major"),
    ("warning", "warning"),
    ("info", "indeterminate"),
]


@pytest.mark.parametrize(("told", "severity"), SEVERITIES)
def test_each_severity_of_pagerduty_is_a_severity_of_an_alarm(told: str, severity: Severity) -> None:
    assert raised(read(payload=PAYLOAD | {"severity": told})).severity == severity


def test_what_else_an_event_tells_is_in_the_details() -> None:
    command = raised(
        read(
            client="monitor",
            client_url="http://m",
            links=[{"href": "http://a", "text": "a"}],
            images=[{"src": "http://b"}],
            payload=PAYLOAD | {"custom_details": {"free": "0 B", "inodes": [1, 2]}},
        )
    )
    assert command.details == {
        "client": "monitor",
        "client_url": "http://m",
        "links": [{"href": "http://a", "text": "a"}],
        "images": [{"src": "http://b"}],
        "custom_details": {"free": "0 B", "inodes": [1, 2]},
    }
    assert raised(read(payload=PAYLOAD | {"custom_details": "text"})).details == {"custom_details": "text"}


def test_details_that_do_not_fit_are_left_out_and_counted() -> None:
    custom = {"huge": "x" * 20_000, "deep": [], "big": 2**70, "small": 1, "a\0b": 2, "nan": None}
    custom["deep"] = json.loads("[" * 40 + "]" * 40)
    command = raised(read(payload=PAYLOAD | {"custom_details": custom}))
    assert command.details == {"custom_details": {"small": 1, "nan": None}, "details_left_out": 4}


def test_details_are_filled_up_to_their_bound_and_no_further() -> None:
    custom = {f"key-{number}": "x" * 100 for number in range(1_000)}
    command = raised(read(payload=PAYLOAD | {"custom_details": custom}))
    assert command.details["details_left_out"] == 1_000 - len(command.details["custom_details"])
    assert len(command.details["custom_details"]) > 100


def test_long_texts_are_cut() -> None:
    command = raised(read(payload=PAYLOAD | {"summary": "é" * 5_000, "source": "s" * 500}))
    assert len(command.text.encode()) <= bounds.TEXT_BYTES
    assert len(command.labels["source"].encode()) <= bounds.LABEL_BYTES


TIMES: list[tuple[Any, datetime | None]] = [
    ("2026-01-01T02:00:00.000+02:00", datetime(2026, 1, 1, tzinfo=UTC)),
    ("2026-01-01T00:00:00Z", datetime(2026, 1, 1, tzinfo=UTC)),
    ("2026-01-01T00:00:00", None),
    # What PagerDuty's own client sends.
    ("2026-01-01T00:00:00+00:00Z", None),
    ("0001-01-01T00:00:00+14:00", None),
    (7, None),
    ("yesterday", None),
    (None, None),
]


@pytest.mark.parametrize(("told", "time"), TIMES)
def test_a_timestamp_is_read_if_it_is_one(told: Any, time: datetime | None) -> None:
    payload = read(payload=PAYLOAD | {"timestamp": told}).payload
    assert payload is not None
    assert time_of(payload) == time


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"routing_key": ...}, "routing_key"),
    ({"routing_key": ""}, "routing_key"),
    ({"routing_key": 7}, "routing_key"),
    ({"routing_key": "a key"}, "routing_key"),
    ({"routing_key": "k" * 129}, "routing_key"),
    ({"event_action": ...}, "event_action"),
    ({"event_action": "explode"}, "event_action"),
    ({"event_action": ["trigger"]}, "event_action"),
    ({"dedup_key": "k" * 256}, "dedup_key"),
    ({"dedup_key": 7}, "dedup_key"),
    ({"event_action": "resolve", "dedup_key": ...}, "dedup_key"),
    ({"event_action": "acknowledge", "dedup_key": None}, "dedup_key"),
    ({"payload": ...}, "payload"),
    ({"payload": []}, "payload"),
    ({"payload": PAYLOAD | {"severity": "major"}}, "payload.severity"),
    ({"payload": PAYLOAD | {"summary": " "}}, "payload.summary"),
    ({"payload": PAYLOAD | {"source": None}}, "payload.source"),
]


@pytest.mark.parametrize(("changes", "named"), WRONG)
def test_each_field_that_is_wrong_is_named(changes: dict[str, Any], named: str) -> None:
    [error] = errors_of(**changes)
    assert f"'{named}'" in error


def test_all_fields_that_are_wrong_are_named_at_once() -> None:
    assert len(errors_of(routing_key=..., dedup_key="k" * 256, payload={})) == 5


@pytest.mark.parametrize("key", [..., None, ""])
def test_a_trigger_may_come_without_a_dedup_key(key: Any) -> None:
    assert read(dedup_key=key).dedup_key == ""


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b'{"a": "\xff"}', b"[" * 20_000, b'{"a":"\\ud800"}']
)
def test_a_body_that_is_no_event_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidEvent):
        read_event(body)


def test_an_event_of_the_largest_size_is_read_and_a_larger_one_is_not() -> None:
    body = json.dumps(TRIGGER).encode()
    assert read_event(body.ljust(EVENT_BYTES)).action == "trigger"
    with pytest.raises(InvalidEvent, match="512 KB"):
        read_event(body.ljust(EVENT_BYTES + 1))


def test_of_details_in_many_parts_only_the_first_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "PARTS", 10)
    command = raised(read(payload=PAYLOAD | {"custom_details": {str(each): each for each in range(25)}}))
    assert command.details["custom_details"] == {str(each): each for each in range(10)}
    assert command.details["details_left_out"] == 15


def test_of_details_that_cannot_be_stored_only_so_many_bytes_are_decoded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(commands, "EXAMINED_BYTES", 100)
    custom = {str(each): {"\0": "x" * 40} for each in range(9)} | {"late": 1}
    assert raised(read(payload=PAYLOAD | {"custom_details": custom})).details == {"details_left_out": 10}

"""Alertmanager's webhook as commands, and what the alarm's rules make of them."""

from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count, permutations
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from adapters.alertmanager.commands import NAMELESS, SEVERITIES, commands_of
from adapters.alertmanager.webhook import Alert, AlertmanagerWebhook
from core.alarm import bounds
from core.alarm.alarm import Alarm
from core.alarm.condition import Clear, Raise
from core.alarm.context import Context
from core.alarm.decider import decide
from core.alarm.events import Actor
from core.alarm.evolution import evolve

BEGAN = "2026-01-01T10:00:00Z"
ENDED = "2026-01-01T11:00:00.123456789Z"
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
NONE = "0001-01-01T00:00:00Z"

PAYLOAD = b"""{
  "receiver": "tocsin", "status": "firing", "version": "4", "groupKey": "{}:{alertname=\\"DiskFull\\"}",
  "truncatedAlerts": 2, "groupLabels": {"alertname": "DiskFull"}, "commonLabels": {}, "commonAnnotations": {},
  "externalURL": "http://alertmanager:9093", "somethingNewer": {"x": 1},
  "alerts": [{
    "status": "firing",
    "labels": {"alertname": "DiskFull", "instance": "db-1:9100", "job": "node", "severity": "warning"},
    "annotations": {"summary": "disk full", "description": "95 % of /data"},
    "startsAt": "2026-01-01T12:00:00.5+02:00", "endsAt": "0001-01-01T00:00:00Z",
    "generatorURL": "http://prometheus:9090/graph", "fingerprint": "c0ffee", "alsoNewer": null
  }]
}"""


def context(numbers: Any, source: str, occurred_at: datetime | None) -> Context:
    number = next(numbers)
    return Context(
        event_id=f"event-{number}",
        tenant="default",
        actor=Actor(source, "source"),
        now=NOW + timedelta(seconds=number),
        occurred_at=occurred_at,
    )


def alert(**changes: Any) -> Alert:
    labels = {"alertname": "DiskFull", "instance": "db-1", "severity": "warning", **changes.pop("labels", {})}
    whole = {"status": "firing", "fingerprint": "f1", "starts_at": BEGAN, "ends_at": NONE, **changes}
    return Alert(labels={name: value for name, value in labels.items() if value is not None}, **whole)


def commands(*alerts: Alert, **webhook: Any) -> list[Raise | Clear]:
    return commands_of(
        AlertmanagerWebhook(alerts=list(alerts), **webhook), "default", partial(context, count())
    )


def raised(one: Alert, **webhook: Any) -> Raise:
    [command] = commands(one, **webhook)
    assert isinstance(command, Raise)
    return command


def cleared(one: Alert) -> Clear:
    [command] = commands(one)
    assert isinstance(command, Clear)
    return command


def after(*alerts: Alert) -> Alarm:
    """The alarm after these alerts, which must all be about one."""
    told = commands(*alerts)
    assert len({command.alarm_id for command in told}) == 1
    alarm = Alarm.absent(told[0].alarm_id)
    for command in told:
        event = decide(alarm, command)
        alarm = alarm if event is None else evolve(alarm, event)
    return alarm


def test_a_payload_as_alertmanager_posts_it_becomes_a_raise() -> None:
    webhook = msgspec.json.decode(PAYLOAD, type=AlertmanagerWebhook)
    assert webhook.truncated_alerts == 2
    [command] = commands_of(webhook, "default", partial(context, count()))
    assert isinstance(command, Raise)
    began = datetime(2026, 1, 1, 10, 0, 0, 500_000, UTC)
    assert (command.identity.source, command.identity.type) == ("db-1:9100", "DiskFull")
    assert (command.severity, command.text) == ("warning", "95 % of /data")
    assert command.labels == {"job": "node"}
    assert (command.origin, command.since, command.context.occurred_at) == ("c0ffee", began, began)
    assert command.context.actor == Actor("db-1:9100", "source")
    assert command.context.command_id is None
    assert command.details == {
        "generator_url": "http://prometheus:9090/graph",
        "external_url": "http://alertmanager:9093",
        "annotations": {"summary": "disk full", "description": "95 % of /data"},
    }


def test_a_resolve_is_a_clear_of_what_began_then() -> None:
    command = cleared(alert(status="resolved", ends_at=ENDED))
    assert command.alarm_id == raised(alert()).alarm_id
    assert (command.origin, command.since) == ("f1", datetime(2026, 1, 1, 10, tzinfo=UTC))
    assert command.context.occurred_at == datetime(2026, 1, 1, 11, 0, 0, 123_457, UTC)


def test_each_alert_goes_by_its_own_status() -> None:
    kinds = [type(command) for command in commands(alert(), alert(status="resolved"), alert())]
    assert kinds == [Raise, Clear, Raise]


@pytest.mark.parametrize(
    ("label", "severity"),
    [*SEVERITIES.items(), ("Critical", "critical"), ("page", "indeterminate"), (None, "indeterminate")],
)
def test_an_alerts_severity_label_is_the_alarms_severity(label: str | None, severity: str) -> None:
    assert raised(alert(labels={"severity": label})).severity == severity


def test_an_unknown_severity_is_not_lost() -> None:
    assert raised(alert(labels={"severity": "page"})).details == {"severity": "page"}
    assert "severity" not in raised(alert(labels={"severity": "Error"})).details


def test_the_severities_can_be_set() -> None:
    webhook = AlertmanagerWebhook(alerts=[alert(labels={"severity": "P1"})])
    [command] = commands_of(webhook, "default", partial(context, count()), {"p1": "critical"})
    assert isinstance(command, Raise)
    assert command.severity == "critical"


@pytest.mark.parametrize(
    ("labels", "source"),
    [
        ({"exported_instance": "plc-7", "job": "modbus"}, "plc-7"),
        ({"job": "node"}, "db-1"),
        ({"instance": None, "job": "node"}, "node"),
        ({"instance": "", "job": "node"}, "node"),
        ({"instance": None}, "team-x"),
    ],
)
def test_the_source_is_the_first_label_that_names_one(labels: dict[str, str], source: str) -> None:
    assert raised(alert(labels=labels), receiver="team-x").identity.source == source


def test_an_alert_without_any_name_still_becomes_an_alarm() -> None:
    command = raised(Alert(status="firing", labels={}))
    assert (command.identity.source, command.identity.type) == ("alertmanager", NAMELESS)
    assert command.origin
    assert (command.since, command.context.occurred_at) == (None, None)
    assert decide(Alarm.absent(command.alarm_id), command) is not None


def test_the_qualifier_is_the_other_labels_and_never_changes() -> None:
    # Stored in the ids of alarms: a test that has to be changed here splits each alarm's history in two.
    command = raised(alert(labels={"mount": "/data", "job": "node"}))
    assert command.identity.qualifier == "754a26237b78a9dcf22aa33d3c7640e0"
    assert command.identity == raised(alert(labels={"job": "node", "mount": "/data"})).identity
    assert command.identity != raised(alert(labels={"job": "node", "mount": "/"})).identity
    assert raised(alert()).identity.qualifier == ""


def test_neither_severity_nor_fingerprint_nor_annotations_make_another_alarm() -> None:
    other = alert(labels={"severity": "critical"}, fingerprint="f2", annotations={"summary": "worse"})
    assert raised(alert()).alarm_id == raised(other).alarm_id


@pytest.mark.parametrize("text", ["", "yesterday", "2026-01-01T10:00:00", NONE, "9999-12-31T23:59:59-14:00"])
def test_a_time_that_says_nothing_is_none(text: str) -> None:
    assert raised(alert(starts_at=text)).since is None


# The traps.

WARNING = alert()
CRITICAL = alert(labels={"severity": "critical"}, fingerprint="f2", starts_at="2026-01-01T10:30:00Z")
WARNING_GONE = alert(status="resolved", ends_at="2026-01-01T10:30:00Z")
CRITICAL_GONE = alert(
    status="resolved", labels={"severity": "critical"}, fingerprint="f2", starts_at="2026-01-01T10:30:00Z"
)


@pytest.mark.parametrize("change", list(permutations([CRITICAL, WARNING_GONE])))
def test_a_change_of_severity_ends_active_whichever_half_arrives_first(change: tuple[Alert, ...]) -> None:
    alarm = after(WARNING, *change)
    assert (alarm.active, alarm.severity, list(alarm.origins)) == (True, "critical", ["f2"])
    assert not alarm.acked
    assert after(WARNING, *change, CRITICAL_GONE).active is False


def test_two_rules_of_one_name_show_the_highest_and_clear_with_the_last() -> None:
    assert after(WARNING, CRITICAL).severity == "critical"
    assert after(CRITICAL, WARNING).severity == "critical"
    assert after(WARNING, CRITICAL, CRITICAL_GONE).severity == "warning"
    assert after(WARNING, CRITICAL, CRITICAL_GONE).active
    assert not after(WARNING, CRITICAL, CRITICAL_GONE, WARNING_GONE).active


def test_two_rules_that_repeat_side_by_side_record_nothing() -> None:
    once = after(WARNING, CRITICAL)
    assert after(WARNING, CRITICAL, WARNING, CRITICAL, WARNING).revision == once.revision


def test_a_resolve_of_what_began_earlier_is_late_news() -> None:
    again = alert(starts_at="2026-01-01T11:30:00Z")
    alarm = after(WARNING, WARNING_GONE, again, WARNING_GONE)
    assert (alarm.active, alarm.occurrence) == (True, 2)
    assert not after(WARNING, WARNING_GONE, again, alert(status="resolved", starts_at=again.starts_at)).active


def test_a_firing_that_overtook_the_resolve_before_it_stays() -> None:
    again = alert(starts_at="2026-01-01T11:30:00Z")
    assert after(WARNING, again, WARNING_GONE).active


def test_a_resolve_that_repeats_changes_nothing() -> None:
    assert after(WARNING, WARNING_GONE, WARNING_GONE).revision == 2


# What is too long is cut.


def test_long_texts_are_cut_and_say_so() -> None:
    command = raised(alert(annotations={"summary": "\N{EURO SIGN}" * 5_000}))
    assert command.text.endswith("…")
    assert bounds.TEXT_BYTES - 3 < len(command.text.encode()) <= bounds.TEXT_BYTES
    assert raised(alert(annotations={"summary": "x" * bounds.TEXT_BYTES})).text == "x" * bounds.TEXT_BYTES


def test_of_too_many_labels_the_first_by_name_are_kept_and_the_rest_counted() -> None:
    command = raised(alert(labels={f"label_{number:02}": "x" for number in reversed(range(40))}))
    assert list(command.labels) == [f"label_{number:02}" for number in range(32)]
    assert command.details == {"labels_left_out": 8}


def test_labels_that_are_cut_still_tell_alarms_apart() -> None:
    first, second = (raised(alert(labels={"path": "x" * 1_000 + end})) for end in "ab")
    assert first.labels == second.labels
    assert first.alarm_id != second.alarm_id


def test_long_annotations_are_cut_until_they_fit() -> None:
    details = raised(alert(annotations={f"a{number}": "x" * 4_000 for number in range(10)})).details
    assert len(details["annotations"]) == 10
    assert all(len(text.encode()) == 512 for text in details["annotations"].values())


def test_too_many_annotations_are_counted_and_the_urls_stay() -> None:
    details = raised(
        alert(annotations={f"a{number}": "x" * 100 for number in range(500)}, generator_url="http://p/graph")
    ).details
    assert details == {"generator_url": "http://p/graph", "annotations_left_out": 500}


def test_a_url_that_is_too_long_is_left_out() -> None:
    assert raised(alert(generator_url="http://p/?" + "x" * 5_000)).details == {}


texts = st.text(max_size=30) | st.builds(
    lambda text, times: text * times, st.text(min_size=1, max_size=4), st.integers(1, 3_000)
)
mappings = st.dictionaries(texts, texts, max_size=5) | st.dictionaries(
    st.integers(0, 200).map("name_{}".format), texts, max_size=60
)


NUL = {"a\0b": "c\0d"}


CONTROLS = {"alertname": "Disk\nFull", "instance": "db\x1b-1", "a\tb": "c\nd"}


def test_controls_in_names_are_replaced_visibly() -> None:
    command = raised(alert(labels=CONTROLS))
    assert (command.identity.source, command.identity.type) == ("db\ufffd-1", "Disk\ufffdFull")
    assert command.labels == {"a\ufffdb": "c\nd"}


@example(labels=CONTROLS, annotations=CONTROLS, url="\n", receiver="\n", fingerprint="f\n")
@example(labels=NUL, annotations=NUL, url="\0", receiver="\0", fingerprint="f\0")
@given(labels=mappings, annotations=mappings, url=texts, receiver=texts, fingerprint=texts)
def test_no_alert_is_lost_to_a_bound(
    labels: dict[str, str], annotations: dict[str, str], url: str, receiver: str, fingerprint: str
) -> None:
    one = Alert(
        status="firing",
        labels=labels,
        annotations=annotations,
        generator_url=url,
        fingerprint=fingerprint,
        starts_at=BEGAN,
    )
    command = raised(one, receiver=receiver, external_url=url)
    event = decide(Alarm.absent(command.alarm_id), command)
    assert event is not None
    resolved = cleared_as(one, receiver)
    assert decide(event.alarm, resolved) is not None


def cleared_as(one: Alert, receiver: str) -> Clear:
    [command] = commands(msgspec.structs.replace(one, status="resolved"), receiver=receiver)
    assert isinstance(command, Clear)
    return command

from typing import Any

import pytest
from msgspec.structs import replace

from core.alarm import condition
from core.alarm.alarm import Alarm, Identity
from core.alarm.bounds import check_details
from core.alarm.condition import check_raise
from core.alarm.decider import decide
from core.alarm.evolution import evolve
from core.errors import InvalidInput
from tests.kit.given import PUMP, clearing, raising

LONE_SURROGATE = "\ud800"


def nested(levels: int) -> dict[str, Any]:
    details: dict[str, Any] = {}
    for _ in range(levels - 1):
        details = {"a": details}
    return details


def details_of(size: int) -> dict[str, Any]:
    return {"a": "x" * (size - len('{"a":""}'))}


@pytest.mark.parametrize(
    "parts",
    [
        {"text": "x" * 4096},
        {"text": "é" * 2048},
        {"text": ""},
        {"text": "a\0b"},
        {"text": "two\nlines", "labels": {"a": "two\nlines"}, "probable_cause": "two\nlines"},
        # A joiner, a narrow space and a private character are no controls.
        {"identity": replace(PUMP, source="क\u200dष", type="1\u202f000", qualifier="\ue000\xa0")},
        {"labels": {f"label {number}": "x" * 256 for number in range(32)}},
        {"labels": {"é" * 128: "é" * 128}},
        {"labels": {"": ""}},
        {"origin": "x" * 512},
        {"event_type": "x" * 512, "probable_cause": "x" * 512},
        {"identity": replace(PUMP, source="x" * 512, type="é" * 256, qualifier="x" * 512)},
        {"identity": replace(PUMP, qualifier="")},
        {"details": details_of(16 * 1024)},
        {"details": nested(32)},
        {"details": {"a": [2**63 - 1, -(2**63), 1.5, True, None, {"$b.c": ["x"]}]}},
    ],
)
def test_input_that_fits_is_let_through(parts: dict[str, Any]) -> None:
    check_raise(raising(**parts))


@pytest.mark.parametrize(
    ("parts", "named"),
    [
        ({"text": "x" * 4097}, "text"),
        ({"text": "é" * 2048 + "x"}, "text"),
        ({"text": LONE_SURROGATE}, "text"),
        ({"labels": {f"{number}": "" for number in range(33)}}, "labels"),
        ({"labels": {"x" * 257: ""}}, "label"),
        ({"labels": {"a": "x" * 257}}, "label"),
        ({"labels": {"a\0b": ""}}, "label"),
        ({"labels": {LONE_SURROGATE: ""}}, "label"),
        ({"labels": {"a": LONE_SURROGATE}}, "label"),
        ({"origin": "x" * 513}, "origin"),
        ({"origin": "\0"}, "origin"),
        *(
            (parts, named)
            for control in ("\0", "\n", "\r", "\t", "\x1b", "\x7f", "\x85", "\u2028", "\u2029")
            for parts, named in (
                ({"identity": replace(PUMP, source=f"a{control}b")}, "source"),
                ({"identity": replace(PUMP, type=control)}, "type"),
                ({"identity": replace(PUMP, qualifier=f"a{control}")}, "qualifier"),
                ({"origin": control}, "origin"),
                ({"labels": {f"{control}a": ""}}, "label's name"),
            )
        ),
        ({"event_type": "x" * 513}, "event_type"),
        ({"probable_cause": "x" * 513}, "probable_cause"),
        ({"identity": replace(PUMP, source="")}, "source"),
        ({"identity": replace(PUMP, type="")}, "type"),
        ({"identity": replace(PUMP, source="x" * 513)}, "source"),
        ({"identity": replace(PUMP, type="x" * 513)}, "type"),
        ({"identity": replace(PUMP, qualifier="x" * 513)}, "qualifier"),
        ({"details": details_of(16 * 1024 + 1)}, "details"),
        ({"details": nested(33)}, "details"),
        ({"details": {"a": [[[2**63]]]}}, "details"),
        ({"details": {"a": -(2**63) - 1}}, "details"),
        ({"details": {"a": float("nan")}}, "details"),
        ({"details": {"a": [float("inf")]}}, "details"),
        ({"details": {"a": {"b\0": 1}}}, "details"),
        ({"details": {LONE_SURROGATE: 1}}, "details"),
        ({"details": {"a": [LONE_SURROGATE]}}, "details"),
        ({"details": {"x" * 513: 1}}, "details"),
    ],
)
def test_input_that_does_not_fit_is_refused_by_name(parts: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        check_raise(raising(**parts))
    assert refusal.value.code == "invalid"
    assert named in refusal.value.detail


def test_details_of_any_depth_are_refused_not_overflowed_on() -> None:
    with pytest.raises(InvalidInput, match="levels"):
        check_details(nested(100_000))


def test_an_alarm_belongs_to_the_tenant_that_raises_it() -> None:
    command = raising(identity=Identity("other", "line/1", "pressure"))
    check_raise(command)
    with pytest.raises(InvalidInput, match="tenant"):
        check_raise(replace(command, context=replace(command.context, tenant="default")))


def test_an_alarm_of_an_earlier_version_with_controls_in_its_identity_is_read_and_cleared(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    identity = replace(PUMP, source="a\0b", type="c\nd", qualifier="\u2028")
    with monkeypatch.context() as earlier:
        earlier.setattr(condition, "check_raise", lambda _: None)
        event = decide(Alarm.absent(identity.alarm_id), raising(identity=identity))
    assert event is not None
    stored = evolve(Alarm.absent(identity.alarm_id), event)
    assert (stored.source, stored.type, stored.qualifier) == ("a\0b", "c\nd", "\u2028")
    assert decide(stored, replace(clearing(), alarm_id=identity.alarm_id)) is not None

import msgspec
import pytest

from core.alarm.alarm import Alarm
from core.errors import InvalidInput
from core.lists.filter import Filter, Matcher
from tests.kit.delivery import Plant

SITE = {"site": "north"}


def alarm(source: str = "plant/a/1", **other: object) -> Alarm:
    plant = Plant()
    labels = other.pop("labels", {})
    return msgspec.structs.replace(plant.reported(source, labels=labels).alarm, **other)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wanted", "matches"),
    [
        (Filter(), True),
        (Filter(sources=frozenset({"plant/a/1"})), True),
        (Filter(sources=frozenset({"plant/a"})), False),
        (Filter(sources=frozenset({"plant/a/*"})), True),
        (Filter(sources=frozenset({"plant/*"})), True),
        (Filter(sources=frozenset({"plant/a/1/*"})), False),
        (Filter(sources=frozenset({"pla/*"})), False),
        (Filter(sources=frozenset({"elsewhere", "plant/*"})), True),
        (Filter(types=frozenset({"pressure"})), True),
        (Filter(types=frozenset({"heat"})), False),
        (Filter(min_severity="major"), True),
        (Filter(min_severity="critical"), False),
        (Filter(min_severity="indeterminate"), True),
        (Filter(labels=SITE), True),
        (Filter(labels={"site": "south"}), False),
        (Filter(labels={**SITE, "unit": "1"}), False),
        (Filter(alarm_ids=frozenset({"another"})), False),
        (Filter(sources=frozenset({"plant/*"}), types=frozenset({"heat"})), False),
    ],
)
def test_an_alarm_matches_if_all_that_is_given_holds(wanted: Filter, matches: bool) -> None:
    assert Matcher(wanted).matches(alarm(labels=SITE)) is matches


def test_an_alarm_is_found_by_its_id() -> None:
    one = alarm()
    assert Matcher(Filter(alarm_ids=frozenset({one.id}))).matches(one)


def test_filters_that_say_the_same_are_the_same() -> None:
    decode = msgspec.json.Decoder(Filter).decode
    one = decode(b'{"sources":["a","b"],"labels":{"x":"1","y":"2"}}')
    other = decode(b'{"labels":{"y":"2","x":"1"},"sources":["b","a","b"],"types":[]}')
    assert one == other
    assert len({one, other, Filter()}) == 2


@pytest.mark.parametrize(
    ("wanted", "detail"),
    [
        (Filter(sources=frozenset(str(n) for n in range(101))), "at most 100 sources, not 101"),
        (Filter(types=frozenset(str(n) for n in range(101))), "at most 100 types"),
        (Filter(alarm_ids=frozenset(str(n) for n in range(101))), "at most 100 alarm_ids"),
        (Filter(labels={str(n): "" for n in range(33)}), "at most 32 labels"),
        (Filter(sources=frozenset({"x" * 513})), "at most 512 bytes"),
        (Filter(labels={"k": "x" * 257}), "at most 256 bytes"),
        (Filter(sources=frozenset({"*"})), "leave the filter's sources out"),
        (Filter(sources=frozenset({"a/" * 17 + "*"})), "at most 16 slashes"),
    ],
)
def test_a_filter_that_is_out_of_bounds_is_refused(wanted: Filter, detail: str) -> None:
    with pytest.raises(InvalidInput, match=detail.replace("*", r"\*")):
        wanted.check()


def test_an_alarm_whose_severity_fell_has_left() -> None:
    plant = Plant()
    wanted = Matcher(Filter(min_severity="major"))
    verdicts = [
        wanted.verdict(plant.reported("a", severity))
        for severity in ("warning", "critical", "major", "minor", "warning")
    ]
    assert verdicts == ["no", "matched", "matched", "left", "no"]


def test_an_alarm_whose_label_changed_has_left() -> None:
    plant = Plant()
    wanted = Matcher(Filter(labels=SITE))
    verdicts = [
        wanted.verdict(plant.reported("a", labels=labels)) for labels in (SITE, {"site": "south"}, {}, SITE)
    ]
    assert verdicts == ["matched", "left", "no", "matched"]

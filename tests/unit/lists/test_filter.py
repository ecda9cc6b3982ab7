import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.alarm.alarm import Alarm
from core.delivery.index import Index
from core.errors import InvalidInput
from core.lists.filter import Filter, Matcher
from tests.kit.delivery import Plant, naive_match, naive_verdicts

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
def test_what_is_out_of_bounds_is_refused(wanted: Filter, detail: str) -> None:
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


SOURCES = ["a", "a/", "a/b", "a/b/c", "b/c", "c"]
filters = st.builds(
    Filter,
    sources=st.frozensets(st.sampled_from(["a", "a/*", "a/b/*", "a/b", "b/*", "a/"]), max_size=3),
    types=st.frozensets(st.sampled_from(["pressure", "heat"]), max_size=2),
    min_severity=st.sampled_from([None, "warning", "major", "critical"]),
    labels=st.dictionaries(st.sampled_from("xy"), st.sampled_from("12"), max_size=2),
)
reports = st.tuples(
    st.sampled_from(SOURCES),
    st.sampled_from(["critical", "major", "minor", "warning", "indeterminate"]),
    st.sampled_from(["pressure", "heat"]),
    st.dictionaries(st.sampled_from("xy"), st.sampled_from("12"), max_size=2),
)


@given(
    wanted=st.lists(filters, max_size=12), reported=st.lists(reports, min_size=1, max_size=12), some=st.data()
)
def test_index_and_matcher_agree_with_the_long_way(
    wanted: list[Filter], reported: list[tuple[str, str, str, dict[str, str]]], some: st.DataObject
) -> None:
    plant = Plant()
    for source, severity, kind, labels in reported:
        plant.reported(source, severity, type=kind, labels=labels)  # type: ignore[arg-type]
    if some.draw(st.booleans()):
        alarm_id = some.draw(st.sampled_from(plant.events)).stream
        wanted.append(Filter(alarm_ids=frozenset({alarm_id})))
    index: Index[int] = Index()
    for number, each in enumerate(wanted):
        index.add(each, number)
    gone = some.draw(st.sets(st.sampled_from(range(len(wanted))))) if wanted else set()
    for number in gone:
        index.remove(wanted[number], number)
    for number, each in enumerate(wanted):
        matcher = Matcher(each)
        naive = naive_verdicts(each, "default", plant.events)
        for event in plant.events:
            verdict = matcher.verdict(event)
            found = number in index.candidates(event)
            expected = {None: "no", False: "matched", True: "left"}[naive.get(event.position)]
            assert verdict == expected
            assert matcher.matches(event.alarm) is naive_match(
                each, event.alarm.severity, event.alarm, event.alarm.labels
            )
            assert not found or number not in gone
            assert found or verdict == "no" or number in gone
    for number in set(range(len(wanted))) - gone:
        index.remove(wanted[number], number)
    assert not index


def test_who_is_not_concerned_is_not_found() -> None:
    index: Index[str] = Index()
    index.add(Filter(sources=frozenset({"a"})), "a")
    index.add(Filter(sources=frozenset({"b"})), "b")
    index.add(Filter(sources=frozenset({"b/*"}), types=frozenset({"heat"})), "heat")
    index.add(Filter(min_severity="critical"), "critical")
    index.add(Filter(labels=SITE), "north")
    event = Plant().reported("b", "major")
    assert list(index.candidates(event)) == ["b"]


def test_a_filter_of_many_values_is_filed_under_few_keys() -> None:
    index: Index[str] = Index()
    many = Filter(
        sources=frozenset(f"s{n}" for n in range(100)), types=frozenset(f"t{n}" for n in range(100))
    )
    index.add(many, "many")
    assert len(index._filed) == 100
    assert list(index.candidates(Plant().reported("s7", type="t9"))) == ["many"]

"""The index of subscriptions finds whom an event may be for, and what it leaves out is for nobody."""

from hypothesis import given
from hypothesis import strategies as st

from core.delivery.index import Index
from core.lists.filter import Filter, Matcher
from tests.kit.delivery import Plant, naive_match, naive_verdicts

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


def test_a_subscription_that_is_not_concerned_is_not_found() -> None:
    index: Index[str] = Index()
    index.add(Filter(sources=frozenset({"a"})), "a")
    index.add(Filter(sources=frozenset({"b"})), "b")
    index.add(Filter(sources=frozenset({"b/*"}), types=frozenset({"heat"})), "heat")
    index.add(Filter(min_severity="critical"), "critical")
    index.add(Filter(labels={"site": "north"}), "north")
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

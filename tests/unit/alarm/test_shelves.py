from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from core.alarm.alarm import Alarm
from core.alarm.shelves import STALE_ENTRIES, Shelf, Shelves
from tests.kit.given import second


def shelved(alarm_id: str, until: int | None) -> Alarm:
    """The alarm on a timed shelf that ends at `until`, or on none."""
    end = None if until is None else second(until)
    return replace(Alarm.absent(alarm_id), tenant="default", shelved_until=end)


def shelves_of(alarms: Iterable[Alarm]) -> Shelves:
    shelves = Shelves()
    for alarm in alarms:
        shelves.see(alarm)
    return shelves


def taken(shelves: Shelves, now: int, limit: int = 100) -> list[str]:
    return [shelf.alarm_id for shelf in shelves.take_due(second(now), limit)]


def test_without_a_shelf_nothing_ends() -> None:
    shelves = shelves_of([shelved("a", None)])
    assert shelves.earliest() is None
    assert taken(shelves, 1_000) == []


def test_the_earliest_end_comes_first() -> None:
    shelves = shelves_of([shelved("a", 30), shelved("b", 10), shelved("c", 20)])
    assert shelves.earliest() == second(10)
    assert taken(shelves, 9) == []
    assert shelves.take_due(second(10), 100) == [Shelf(second(10), "b", "default")]
    assert taken(shelves, 30) == ["c", "a"]
    assert (shelves.earliest(), len(shelves)) == (None, 0)


def test_many_shelves_that_are_due_are_taken_a_few_at_a_time() -> None:
    shelves = shelves_of([shelved("a", 10), shelved("b", 10), shelved("c", 11)])
    assert taken(shelves, 20, limit=2) == ["a", "b"]
    assert taken(shelves, 20, limit=2) == ["c"]


def test_a_renewed_shelf_ends_when_it_was_renewed_to() -> None:
    shelves = shelves_of([shelved("a", 10), shelved("b", 15), shelved("a", 20)])
    assert shelves.earliest() == second(15)
    assert taken(shelves, 20) == ["b", "a"]


def test_a_shortened_shelf_ends_when_it_was_shortened_to() -> None:
    shelves = shelves_of([shelved("a", 20), shelved("a", None), shelved("a", 10)])
    assert taken(shelves, 10) == ["a"]
    assert taken(shelves, 30) == []


def test_an_ended_shelf_never_comes_up() -> None:
    shelves = shelves_of([shelved("a", 10), shelved("a", None)])
    assert shelves.earliest() is None
    assert taken(shelves, 10) == []


def test_a_shelf_that_is_seen_again_comes_up_once() -> None:
    shelves = shelves_of([shelved("a", 10), shelved("a", None), shelved("a", 10), shelved("a", 10)])
    assert taken(shelves, 10) == ["a"]
    assert taken(shelves, 10) == []


def test_the_earlier_ends_of_a_shelf_renewed_again_and_again_are_not_kept() -> None:
    shelves = shelves_of(shelved("a", number) for number in range(5 * STALE_ENTRIES))
    assert len(shelves._heap) <= STALE_ENTRIES + 2
    assert taken(shelves, 5 * STALE_ENTRIES) == ["a"]


@given(st.lists(st.tuples(st.sampled_from("abcde"), st.none() | st.integers(0, 9))), st.integers(0, 9))
def test_the_shelves_that_are_due_are_those_that_stand_last(
    seen: list[tuple[str, int | None]], now: int
) -> None:
    shelves = shelves_of(shelved(*each) for each in seen)
    last = dict(seen)
    stand = {alarm_id: until for alarm_id, until in last.items() if until is not None}
    assert shelves.earliest() == (second(min(stand.values())) if stand else None)
    due = [alarm_id for alarm_id, until in stand.items() if until <= now]
    assert taken(shelves, now) == sorted(due, key=lambda alarm_id: (stand[alarm_id], alarm_id))
    assert len(shelves) == len(stand) - len(due)

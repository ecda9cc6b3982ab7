import pytest

from core.delivery.ring import Ring, weight_of
from core.errors import LogMismatch
from tests.kit.delivery import Plant


def plant_of(count: int, text: str = "") -> Plant:
    plant = Plant()
    for number in range(count):
        plant.reported(f"s{number}", text=text)
    return plant


def test_the_ring_holds_the_newest_events() -> None:
    ring = Ring("log", 0, events=3)
    events = plant_of(5).events
    for event in events:
        ring.append(event)
    assert (ring.first, ring.last, len(ring)) == (3, 5, 3)
    assert [entry.event for entry in ring.between(2, 5)] == events[2:]


@pytest.mark.parametrize("position", [1, 3, 4])
def test_a_gap_or_a_repeat_is_refused(position: int) -> None:
    events = plant_of(4).events
    ring = Ring("log", 0)
    ring.append(events[0])
    with pytest.raises(LogMismatch, match=f"event {position} follows 1"):
        ring.append(events[position - 1])


def test_the_first_event_follows_where_the_ring_begins() -> None:
    events = plant_of(3).events
    ring = Ring("log", 2)
    with pytest.raises(LogMismatch, match="event 2 follows 2"):
        ring.append(events[1])
    ring.append(events[2])
    assert (ring.first, ring.last) == (3, 3)


def test_an_event_that_fell_off_is_not_mistaken_for_the_one_in_its_place() -> None:
    ring = Ring("log", 0, events=2)
    for event in plant_of(3).events:
        ring.append(event)
    with pytest.raises(LogMismatch, match="event 1 is not among 2 to 3"):
        ring.entry(1)


def test_big_events_make_room_by_their_weight_and_one_always_stays() -> None:
    events = plant_of(4, text="x" * 4_000).events
    ring = Ring("log", 0, size=2 * weight_of(events[0]))
    for event in events:
        ring.append(event)
    assert (ring.first, ring.last) == (3, 4)
    tiny = Ring("log", 0, size=1)
    for event in events:
        tiny.append(event)
    assert (tiny.first, tiny.last) == (4, 4)


def test_an_event_weighs_more_than_both_its_encodings() -> None:
    plant = Plant()
    event = plant.reported("s", text="x" * 4_000, labels={f"k{n}": "v" * 250 for n in range(32)})
    assert weight_of(event) > 2 * (2 * 4_000 + 2 * 32 * 250)

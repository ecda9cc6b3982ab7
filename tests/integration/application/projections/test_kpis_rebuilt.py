"""The key figures: what is counted, in which bucket, and what a period comes to."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from adapters.memory.checkpoints import MemoryCheckpoints
from adapters.memory.kpis import MemoryKpiBuckets
from adapters.memory.log import MemoryLog
from core.alarm.events import SCHEMA_VERSION, Event
from core.application.projections.kpis import PACE_ALARMS, PACE_SECONDS, KpiModel
from core.errors import Unavailable, UnknownEvent
from core.kpi import bucket as buckets
from core.kpi.activity import Activity, activity_of
from core.kpi.bucket import BUCKET, Bucket, quantile, seconds_of, start_of, step_of
from core.kpi.figures import Figures, figures
from core.kpi.projecting import Keeper
from core.kpi.rules import Rules, applied
from tests.kit.history import BEGINNING, Shift

steps = st.lists(
    st.tuples(
        st.sampled_from(["raised", "raised", "cleared", "acknowledged"]),
        st.sampled_from("abc"),
        st.sampled_from([0, 1, 9, 20, 61, 400, 3_000]),
    ),
    max_size=40,
)


def shift(moves: Iterable[tuple[str, str, float]]) -> Shift:
    made = Shift()
    for move, source, seconds in moves:
        getattr(made, move)(source)
        made.wait(seconds)
    return made


async def projected(batches: Iterable[Sequence[Event]]) -> list[Bucket]:
    kept = MemoryKpiBuckets()
    keeper = Keeper(kept)
    for events in batches:
        await keeper.write(0, events)
    return sorted(kept.kept.values(), key=lambda bucket: bucket.start)


def of(events: Sequence[Event]) -> list[Bucket]:
    return asyncio.run(projected([events]))


def whole(made: Shift, hours: int = 1) -> Figures:
    return figures(of(made.events), BEGINNING, BEGINNING + timedelta(hours=hours))


def value(found: Figures, name: str) -> float | None:
    return next(kpi.value for kpi in found.kpis if kpi.name == name)


@given(steps, st.lists(st.integers(0, 40), max_size=6))
def test_batches_that_overlap_and_come_again_make_the_same_buckets(
    moves: list[tuple[str, str, float]], cuts: list[int]
) -> None:
    events = shift(moves).events
    places = [0, *sorted(cut % (len(events) + 1) for cut in cuts), len(events)]
    batches = [events[max(0, start - 3) : end] for start, end in pairwise(places)]
    assert asyncio.run(projected(batches)) == of(events)


class Halting(MemoryKpiBuckets):
    """Buckets before whose writes a leader may be paused, or killed; or have its write fail."""

    def __init__(self, kept: MemoryKpiBuckets) -> None:
        super().__init__()
        self.kept = kept.kept
        self.halts: asyncio.Queue[bool] = asyncio.Queue()
        self.reached = asyncio.Event()

    async def write(self, generation: int, buckets: Sequence[Bucket]) -> None:
        self.reached.set()
        if await self.halts.get():
            raise Unavailable("it could not be written")
        await super().write(generation, buckets)


async def leading(
    events: Sequence[Event], kept: MemoryKpiBuckets, size: int, fails: Iterable[bool] = ()
) -> AsyncIterator[None]:
    """A leader that may be paused, or killed, between any two steps, and whose writes fail now and then."""
    halting, failing = Halting(kept), iter(fails)
    keeper = Keeper(halting)
    start = 0
    while start < len(events):
        writing = asyncio.create_task(keeper.write(0, events[start : start + size]))
        await halting.reached.wait()
        halting.reached.clear()
        yield
        fails_now = next(failing, False)
        halting.halts.put_nowait(fails_now)
        await asyncio.wait([writing])
        if writing.exception() is None:
            start += size
        yield


@given(steps, st.lists(st.integers(0, 2), max_size=60), st.lists(st.integers(1, 9), min_size=3, max_size=3))
def test_leaders_that_get_in_each_others_way_make_the_same_buckets(
    moves: list[tuple[str, str, float]], turns: list[int], sizes: list[int]
) -> None:
    events, kept = shift(moves).events, MemoryKpiBuckets()

    async def all_of_them() -> None:
        leaders = [leading(events, kept, size) for size in sizes]
        for turn in turns:
            await anext(leaders[turn], None)
        for leader in reversed(leaders):
            async for _ in leader:
                pass

    asyncio.run(all_of_them())
    assert sorted(kept.kept.values(), key=lambda bucket: bucket.start) == of(events)


@given(steps, st.integers(1, 9), st.lists(st.booleans(), max_size=20))
def test_what_could_not_be_written_is_written_later(
    moves: list[tuple[str, str, float]], size: int, fails: list[bool]
) -> None:
    events, kept = shift(moves).events, MemoryKpiBuckets()

    async def all_of_it() -> None:
        async for _ in leading(events, kept, size, fails):
            pass

    asyncio.run(all_of_it())
    assert sorted(kept.kept.values(), key=lambda bucket: bucket.start) == of(events)


@given(steps)
def test_the_series_adds_up_to_what_was_annunciated(moves: list[tuple[str, str, float]]) -> None:
    events = shift(moves).events
    called = [each for event in events if (each := activity_of(event)) and each.kind == "annunciated"]
    end = start_of(BEGINNING + timedelta(days=2))
    found = figures(of(events), BEGINNING, end)
    assert sum(found.series) == len(called)
    assert sum(priority.count for priority in found.priorities) == len(called)
    assert sum(source.raised for source in found.top_sources) == len(called)


@given(st.lists(st.floats(0, 10**6), min_size=1), st.floats(0.01, 1))
def test_a_quantile_is_at_most_a_fifth_too_long(times: list[float], share: float) -> None:
    counted: dict[int, int] = {}
    for time in times:
        counted[step_of(time)] = counted.get(step_of(time), 0) + 1
    found = quantile(counted, share)
    exact = sorted(times)[max(0, -(-share * len(times) // 1).__int__() - 1)]
    assert found is not None
    assert exact <= found * (1 + 1e-9)
    assert found <= max(1.0, exact * 2**0.25 * (1 + 1e-9))


def test_a_shift_comes_to_what_was_reckoned_by_hand() -> None:
    made = Shift()
    for _ in range(12):
        # A flood of twelve alarms in ten minutes, each acknowledged after 16 s.
        made.raised(f"pump-{made.commands}", "minor")
        made.wait(16)
        made.acknowledged(f"pump-{made.commands - 1}")
        made.wait(4)
    made.wait(1_800)
    for _ in range(4):
        # One that chatters, every 15 s, and is gone after 5.
        made.raised("valve", "critical")
        made.wait(5)
        made.cleared("valve")
        made.wait(10)
    found = whole(made)
    assert found.series == [12, 0, 0, 4, 0, 0]
    assert value(found, "raised_per_hour") == 16
    assert value(found, "raised_per_day") == pytest.approx(16 * 24)
    assert value(found, "peak_10_minutes") == 12
    assert value(found, "flood_periods") == pytest.approx(1 / 6)
    assert value(found, "flood_time") == pytest.approx(1 / 6)
    assert [(bad.source, bad.count) for bad in found.chattering] == [("valve", 2)]
    assert [(bad.source, bad.count) for bad in found.fleeting] == [("valve", 4)]
    assert (found.top_sources[0].source, found.top_sources[0].raised) == ("valve", 4)
    assert found.top_sources[0].share == pytest.approx(0.25)
    assert {each.severity: each.count for each in found.priorities if each.count} == {
        "critical": 4,
        "minor": 12,
    }
    assert found.acknowledge_seconds.count == 12
    assert found.acknowledge_seconds.median == pytest.approx(16, rel=0.2)
    assert {kpi.name: kpi.met for kpi in found.kpis}["raised_per_hour"] is False
    assert found.complete


def test_chattering_is_seen_across_the_border_of_two_buckets() -> None:
    made = Shift()
    made.wait(BUCKET.total_seconds() - 20)
    for _ in range(3):
        made.raised("valve")
        made.wait(10)
        made.cleared("valve")
        made.wait(5)
    found = whole(made)
    assert found.series[:2] == [2, 1]
    assert [(bad.source, bad.count) for bad in found.chattering] == [("valve", 1)]


def test_a_shelved_alarm_and_one_for_the_journal_call_nobody() -> None:
    made = Shift()
    made.raised("pump")
    event = made.events[0]
    assert activity_of(event) is not None
    assert activity_of(replace(event, alarm=replace(event.alarm, state="shelved"))) is None
    assert activity_of(replace(event, alarm=replace(event.alarm, annunciate=False))) is None


def test_an_event_of_a_newer_version_is_not_guessed_at() -> None:
    made = Shift()
    made.raised("pump")
    with pytest.raises(UnknownEvent):
        activity_of(replace(made.events[0], v=SCHEMA_VERSION + 1))


def test_a_bucket_has_a_bound_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buckets, "ALARMS", 3)
    made = Shift()
    for number in range(5):
        made.raised(f"pump-{number}")
    found = whole(made)
    assert found.series[0] == 5
    assert len(found.top_sources) == 3
    assert not found.complete
    some = figures(of(made.events), BEGINNING, BEGINNING + BUCKET, lambda source, _: source == "pump-1")
    assert some.series == [1]


def test_the_more_alarms_a_batch_changed_the_longer_the_next_one_waits() -> None:
    made, model = Shift(), KpiModel(MemoryKpiBuckets(), MemoryCheckpoints())
    assert model.pace == PACE_SECONDS
    for number in range(2 * PACE_ALARMS):
        made.raised(f"pump-{number}")
    asyncio.run(model.write(MemoryLog("log"), made.events, 0))
    assert model.pace == 3 * PACE_SECONDS


def test_nothing_at_all_has_no_shares() -> None:
    found = whole(Shift())
    assert found.series == [0] * 6
    assert value(found, "top_10_sources_share") is None
    assert value(found, "raised_per_hour") == 0


class TestRules:
    def activities(self, *moves: tuple[str, str, float]) -> list[Activity]:
        return [each for event in shift(moves).events if (each := activity_of(event)) is not None]

    def called(self, activities: list[Activity], rules: Rules) -> list[tuple[str, float]]:
        return [
            (each.source, self.since(each.at))
            for each in applied(activities, rules)
            if each.kind == "annunciated"
        ]

    def since(self, time: datetime) -> float:
        return (time - BEGINNING).total_seconds()

    @given(steps)
    def test_no_rules_change_nothing(self, moves: list[tuple[str, str, float]]) -> None:
        activities = self.activities(*moves)
        assert list(applied(activities, Rules())) == activities
        # Nor if the period begins in the middle of it all.
        assert list(applied(activities[1:], Rules())) == activities[1:]

    @given(steps, st.floats(0, 600), st.floats(0, 600), st.floats(0, 600))
    def test_rules_never_call_more_often(
        self, moves: list[tuple[str, str, float]], on_delay: float, off_delay: float, deadband: float
    ) -> None:
        activities = self.activities(*moves)
        rules = Rules(on_delay=on_delay, off_delay=off_delay, deadband=deadband)
        assert len(self.called(activities, rules)) <= len(self.called(activities, Rules()))

    def test_an_on_delay_lets_out_what_did_not_last(self) -> None:
        activities = self.activities(("raised", "a", 5), ("cleared", "a", 60), ("raised", "a", 60))
        assert self.called(activities, Rules(on_delay=10)) == [("a", 75.0)]

    def test_what_grew_worse_has_lasted_since_it_began(self) -> None:
        made = Shift()
        made.raised("a", "minor")
        made.wait(50)
        made.raised("a", "critical")
        made.wait(20)
        made.cleared("a")
        activities = [each for event in made.events if (each := activity_of(event)) is not None]
        assert self.called(activities, Rules(on_delay=60)) == [("a", 60.0)]
        assert self.called(activities, Rules(on_delay=40)) == [("a", 40.0), ("a", 50.0)]

    def test_an_off_delay_takes_one_that_comes_back_soon_for_the_same(self) -> None:
        activities = self.activities(
            ("raised", "a", 60),
            ("cleared", "a", 5),
            ("raised", "a", 60),
            ("cleared", "a", 60),
            ("raised", "a", 0),
        )
        assert self.called(activities, Rules(off_delay=10)) == [("a", 0.0), ("a", 185.0)]

    def test_what_is_bridged_by_an_off_delay_is_not_fleeting(self) -> None:
        activities = self.activities(*[("raised", "a", 5), ("cleared", "a", 5)] * 4)
        kept = list(applied(activities, Rules(off_delay=10)))
        assert [each.kind for each in kept] == ["annunciated", "cleared"]
        assert (kept[1].seconds, self.since(kept[1].at)) == (15.0, 45.0)

    def test_a_deadband_calls_once_in_its_time(self) -> None:
        activities = self.activities(*[("raised", "a", 10), ("cleared", "a", 10)] * 6)
        assert self.called(activities, Rules(deadband=50)) == [("a", 0.0), ("a", 60.0)]

    def test_a_shelved_source_calls_nobody(self) -> None:
        activities = self.activities(("raised", "a/1", 1), ("raised", "a/2", 1), ("raised", "b", 1))
        assert self.called(activities, Rules(shelved=frozenset({"a/*"}))) == [("b", 2.0)]

    def test_a_severity_may_be_another(self) -> None:
        activities = self.activities(("raised", "a", 1))
        (one,) = applied(activities, Rules(severities={"pressure": "warning"}))
        assert one.severity == "warning"


def test_each_step_is_a_fifth_longer() -> None:
    assert [round(seconds_of(step), 2) for step in range(5)] == [1.0, 1.19, 1.41, 1.68, 2.0]
